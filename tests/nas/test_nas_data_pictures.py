"""What is measured on pictures, limited, split off, left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.errors import DataError
from rung.nas.data.pictures import measured, positions
from rung.nas.data.reading import read_pictures
from support.pictures import X, Y, archive


def test_mean_and_deviation_equal_numpys() -> None:
    pictures = read_pictures((X, Y, X[:2] * 0, Y[:2]))
    unit = X.astype(np.float64) / 255
    assert np.allclose(pictures.mean, unit.mean(axis=(0, 1, 2)), rtol=0, atol=1e-14)
    assert np.allclose(pictures.std, unit.std(axis=(0, 1, 2)), rtol=0, atol=1e-14)


def test_measuring_in_pieces_and_of_constants() -> None:
    x = np.random.default_rng(1).integers(0, 256, (2500, 2, 2, 2), dtype=np.uint8)
    x[..., 1] = 51
    mean, std = measured(x)
    assert np.allclose(mean, (x / 255).mean(axis=(0, 1, 2)), rtol=0, atol=1e-12)
    assert abs(std[0] - (x[..., 0] / 255).std()) < 1e-12
    assert std[1] == 1.0


def test_measuring_is_of_the_pictures_that_are_trained_on() -> None:
    pictures = read_pictures((X, Y), limit=6, seed=1)
    assert pictures.x_train.shape[0] == 6
    assert pictures.y_train.tolist().count(0) == 2
    assert np.allclose(pictures.mean, (pictures.x_train / 255).mean(axis=(0, 1, 2)), atol=1e-14)
    assert np.array_equal(pictures.x_train, read_pictures((X, Y), limit=6, seed=1).x_train)
    assert not np.array_equal(pictures.x_train, read_pictures((X, Y), limit=6, seed=2).x_train)
    assert len(read_pictures((X, Y), limit=99).x_train) == 12


def test_a_test_part_is_split_off_where_one_is_needed() -> None:
    y = np.repeat([0, 1], [40, 20])
    x = np.random.default_rng(1).integers(0, 256, (60, 2, 2, 1), dtype=np.uint8)
    pictures = read_pictures((x, y), test=True, limit=10)
    assert np.bincount(pictures.y_test).tolist() == [8, 4]
    assert len(pictures.y_train) == 10
    assert pictures.notes == ("no test part was given: 12 of 60 pictures were split off for it",)
    whole = read_pictures((x, y), test=True)
    both = np.concatenate([whole.x_train, whole.x_test])
    assert np.array_equal(np.sort(both.ravel()), np.sort(x.ravel()))
    assert not np.array_equal(read_pictures((x, y), test=True, seed=1).x_test, whole.x_test)
    assert read_pictures((x, y, x, y), test=True).notes == ()


@pytest.mark.parametrize("wanted", [[0, 2], ["cat", "elk"], "cat,elk", "0, 2", ["cat", 2], "elk,0"])
def test_a_split_by_classes(wanted: Any, tmp_path: Path) -> None:
    path = archive(
        tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X, y_test=Y, classes=np.array(["cat", "dog", "elk"])
    )
    pictures = read_pictures(path, classes=wanted)
    assert pictures.classes == ("cat", "elk")
    assert np.array_equal(pictures.x_train, X[Y != 1])
    assert np.array_equal(pictures.y_train, Y[Y != 1] // 2)
    assert np.array_equal(pictures.y_test, pictures.y_train)


def test_classes_by_range_and_by_a_name_that_is_a_number() -> None:
    names = ("7", "3", "five", "9", "1")
    assert positions(("a", "b", "c", "d"), "1-3") == [1, 2, 3]
    assert positions(("a", "b", "c", "d"), "1-3,a") == [0, 1, 2, 3]
    assert positions(names, [3, "five"]) == [1, 2]  # a name before a position
    assert positions(names, [0]) == [0]
    with pytest.raises(DataError, match="no class 'x': the 5 classes are"):
        positions(names, "five,x")
    with pytest.raises(DataError, match="no class is named"):
        positions(names, " ,")


@pytest.mark.parametrize(
    ("labels", "wanted", "kept"),
    [
        (range(10), "0-4", "0 1 2 3 4"),
        (range(1, 11), "1-3", "1 2 3"),
        (range(1, 11), "10,2", "2 10"),
        (range(-1, 3), "-1,0-1", "-1 0 1"),
        ([0, 1, 2, 5, 9], "0-2,9", "0 1 2 9"),
        (["7", "3", "five", "9", "1"], "0-2", "7 3 five"),
        (["0-4", "5-9", "10-14"], "0-4,10-14", "0-4 10-14"),
    ],
)
def test_a_range_is_of_names_where_all_are_numbers(labels: Any, wanted: str, kept: str) -> None:
    names = [str(label) for label in labels]
    assert [names[at] for at in positions(names, wanted)] == kept.split()


@pytest.mark.parametrize("wanted", ["0-4", "0,1", [0, 1]])
def test_a_number_that_is_no_name_among_numbers_is_refused(wanted: Any) -> None:
    with pytest.raises(DataError, match=r"^there is no class '?0'?: the 10 classes are 1, 2, 3, 4, 5"):
        positions([str(label) for label in range(1, 11)], wanted)
    with pytest.raises(DataError, match="no class 3: the 5 classes are 0, 1, 2, 5, 9"):
        positions(["0", "1", "2", "5", "9"], "0-4")


def test_classes_that_the_test_part_lacks() -> None:
    pictures = read_pictures((X, Y, X[:2], [2, 2]), classes=[0, 1])
    assert pictures.x_test is None
    with pytest.raises(DataError, match="a single class, '1'"):
        read_pictures((X, Y), classes=[1])
