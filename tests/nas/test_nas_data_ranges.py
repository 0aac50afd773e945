"""Pictures whose values are not whole numbers from 0 to 255."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.errors import DataError
from rung.nas.data.reading import read_pictures
from support.pictures import X, Y, archive


@pytest.mark.parametrize("over", [0.0, 1e-6, 5e-4, 0.04])
def test_pictures_from_0_to_1_may_go_a_hair_beyond(tmp_path: Path, over: float) -> None:
    shades = X / 255
    shades[0, 0, 0, 0], shades[0, 0, 0, 1] = 1 + over, -over
    found = read_pictures(archive(tmp_path / "a.npz", x_train=shades.astype(np.float32), y_train=Y)).x_train
    assert np.array_equal(found[1:], X[1:])
    assert found[0, 0, 0, :2].tolist() == [255, 0]


def test_whole_numbers_of_few_levels_stay_as_they_are(tmp_path: Path) -> None:
    found = read_pictures(archive(tmp_path / "a.npz", x_train=(X // 32).astype(float), y_train=Y)).x_train
    assert np.array_equal(found, X // 32)


DARK = X // 2  # whose brightest value is under 128
BINARY = (X > 100).astype(np.uint8)


@pytest.mark.parametrize(
    ("train", "test", "bytes_"),
    [
        ((X / 255).astype(np.float32), X, (X, X)),
        (X, (X / 255).astype(np.float32), (X, X)),
        (X.astype(float), X, (X, X)),
        (X.astype(np.int64), X / 255, (X, X)),
        (X / 255, DARK / 255, (X, DARK)),  # the darker part is not made brighter
        (X, DARK, (X, DARK)),
        (BINARY.astype(bool), BINARY * np.uint8(255), (BINARY * 255, BINARY * 255)),
        (BINARY.astype(bool), BINARY * 255.0, (BINARY * 255, BINARY * 255)),
        (BINARY.astype(float), BINARY, (BINARY * 255, BINARY * 255)),
        (BINARY, BINARY, (BINARY, BINARY)),  # 8 bits stay as they are
    ],
)
def test_parts_of_two_types_are_brought_to_one_scale(
    train: Any, test: Any, bytes_: Any, tmp_path: Path
) -> None:
    found = read_pictures(archive(tmp_path / "a.npz", x_train=train, y_train=Y, x_test=test, y_test=Y))
    assert np.array_equal(found.x_train, bytes_[0])
    assert found.x_test is not None
    assert np.array_equal(found.x_test, bytes_[1])


def test_a_part_that_has_another_scale_than_the_other_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a, test: the pictures' values go from 0.* no whole numbers"):
        read_pictures(archive(tmp_path / "a.npz", x_train=X * 1.0, y_train=Y, x_test=X / 255, y_test=Y))
    with pytest.raises(DataError, match=r"a, test: the pictures' values go from -"):
        read_pictures(archive(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X / 99 - 1, y_test=Y))
