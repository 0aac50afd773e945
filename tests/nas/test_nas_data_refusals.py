"""What is said of sources of pictures that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.errors import DataError
from rung.nas.data.pictures import Pictures
from rung.nas.data.reading import read_pictures
from support.pictures import X, Y, archive, folder, streams


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x_train": X}, "has no labels"),
        ({"images": X, "y_train": Y}, "has no array x_train .it has images, y_train"),
        ({"x_train": X, "y_train": Y[:-1]}, "12 pictures and 11 labels"),
        ({"x_train": X, "y_train": Y * 0}, "all pictures are of one class, 0"),
        ({"x_train": X, "y_train": Y, "x_test": X}, "the test part needs pictures and labels"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :3], "y_test": Y}, "4 x 5 x 3 and .* test on 3 x 5 x 3"),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 1}, "of class 3, none to train on is"),
        ({"x_train": X / 0.5, "y_train": Y}, "values go from"),
        ({"x_train": X - 128.0, "y_train": Y}, "values go from -"),
        ({"x_train": np.where(X > 9, np.nan, X), "y_train": Y}, "NaN or infinite"),
        ({"x_train": X, "y_train": np.where(Y > 1, np.nan, Y)}, "some pictures have no label"),
        ({"x_train": X, "y_train": Y + 0.5}, "a label is 2.5"),
        ({"x_train": X, "y_train": Y + 1e25}, "a label is 1\\d+ in size: too large"),
        ({"x_train": X / 60, "y_train": Y}, "and are no whole numbers"),
        ({"x_train": X, "y_train": np.stack([Y, Y], 1)}, "the labels are 12 x 2"),
        ({"x_train": X.reshape(12, -1), "y_train": Y}, "the array of pictures is 12 x 60"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "the array of pictures is 0 x 4"),
        ({"x_train": X.astype(str), "y_train": Y}, "of type <U3"),
        ({"x_train": X, "y_train": Y, "classes": np.array(["a", "b"])}, "a label is 2, but 2 classes"),
        ({"train_jpeg": X.ravel()}, "no train_offsets"),
        ({"train_jpeg": X.ravel(), "train_offsets": np.array([0, 9, 5])}, "train_offsets must ascend"),
        ({"train_jpeg": X.ravel(), "train_offsets": np.array([0, 9, 9999])}, "length of train_jpeg, 720"),
        ({"train_jpeg": X.ravel(), "train_offsets": np.array([0, 99])}, "train picture 0 is not a picture"),
        ({k: v for k, v in streams(X, Y).items() if k != "train_labels"}, "there are no labels"),
    ],
    ids=lambda each: None if isinstance(each, dict) else each[:30],
)  # fmt: skip
def test_an_archive_that_cannot_be_used(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read_pictures(archive(tmp_path / "a.npz", **arrays))


def test_files_that_are_no_archives(tmp_path: Path) -> None:
    text, cut, single, pickled = (tmp_path / f"{name}.npz" for name in ("text", "cut", "single", "pickled"))
    text.write_text("x_train, y_train")
    cut.write_bytes(archive(tmp_path / "whole.npz", x_train=X, y_train=Y).read_bytes()[:-200])
    with single.open("wb") as stream:
        np.save(stream, X)
    archive(pickled, x_train=np.array([X[0], None], dtype=object), y_train=Y)
    (tmp_path / "empty.npz").touch()
    for path in (text, cut, pickled, tmp_path / "empty.npz"):
        with pytest.raises(DataError, match="cannot be read as an archive of NumPy"):
            read_pictures(path)
    with pytest.raises(DataError, match="it is another kind of file"):  # nor "load it, if you trust it"
        read_pictures(text)
    with pytest.raises(DataError, match="is a single array"):
        read_pictures(single)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no labels: put the pictures of each class in a folder"):
        read_pictures(folder(tmp_path / "flat", {"0": X[0]}))
    path = folder(tmp_path / "damaged", {"a/0": X[0], "b/1": X[1]})
    whole = (path / "b" / "1.png").read_bytes()
    for bytes_ in (b"no picture", whole[:60], whole[: len(whole) // 2]):
        (path / "b" / "1.png").write_bytes(bytes_)
        with pytest.raises(DataError, match=r"b/1\.png is not a picture that can be read"):
            read_pictures(path)
    (path / "b" / "1.png").unlink()
    with pytest.raises(DataError, match="b holds no picture"):
        read_pictures(path)
    with pytest.raises(DataError, match="of one class, a"):
        read_pictures(folder(tmp_path / "one", {"a/0": X[0], "a/1": X[1]}))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.npz", "no file or folder 'nowhere.npz'"),
        ("iris", r"set of pictures in scikit-learn \(it has: digits\)"),
        (7, "cannot be read from a int"),
        ((X, Y, X), "3 values are no pictures and labels"),
        (("a.npz", "b.npz"), "2 values are no pictures and labels"),
        (([X[0], X[1], X[2][:3]], Y[:3]), "mixed sizes"),
        ((X, None), "there are no labels"),
        ((X[:3], np.array(["a", None, "b"], dtype=object)), "some pictures have no label"),
        (iter([(X[0], 0)]), "a data set with a length"),
        ({"x_train": X, "y_train": Y}, "cannot be read from a dict: give a path"),
    ],
    ids=["missing", "iris", "int", "three", "paths", "mixed", "unlabelled", "hole", "endless", "dict"],
)
def test_sources_that_cannot_be_used(source: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_pictures(source)


@pytest.mark.parametrize("option", ["limit", "size"])
def test_options_that_cannot_be(option: str) -> None:
    with pytest.raises(DataError, match=f"a {option} of 0"):
        read_pictures((X, Y), **{option: 0})


def test_every_message_is_one_sentence_with_a_remedy() -> None:
    with pytest.raises(DataError) as caught:
        Pictures("p", X, Y, None, None, ("a", "b", "c")).limited(2)
    text = str(caught.value)
    assert "\n" not in text
    assert not text.endswith(".")
    assert ": " in text
