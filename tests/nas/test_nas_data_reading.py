"""Pictures from archives and folders."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rung.errors import DataError, UserError
from rung.nas.data import archives
from rung.nas.data.reading import read_pictures
from support.pictures import X, Y, archive, folder, jpeg, streams


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_an_archive_of_arrays(tmp_path: Path) -> None:
    path = archive(tmp_path / "some.npz", x_train=X, y_train=Y, x_test=X[:3], y_test=Y[:3])
    pictures = read_pictures(path)
    assert np.array_equal(pictures.x_train, X)
    assert np.array_equal(pictures.y_train, Y)
    assert np.array_equal(pictures.x_test, X[:3])
    assert np.array_equal(pictures.y_test, Y[:3])
    assert (pictures.name, pictures.classes, pictures.shape) == ("some", ("0", "1", "2"), (4, 5, 3))
    assert pictures.y_train.dtype == np.int64
    assert pictures.notes == ()


def test_grey_pictures_have_one_channel_and_no_test_part_is_none(tmp_path: Path) -> None:
    pictures = read_pictures(str(archive(tmp_path / "grey.npz", x_train=X[..., 0], y_train=Y)))
    assert pictures.x_train.shape == (12, 4, 5, 1)
    assert pictures.x_test is None
    assert pictures.y_test is None


def test_jpeg_streams_equal_pillow_one_by_one_and_are_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = streams(X, Y) | streams(X[:4], Y[:4], "test")
    path = archive(tmp_path / "j.npz", **parts, classes=np.array(["cat", "dog", "elk"]))
    pictures = read_pictures(path)
    for row, picture in enumerate(X):
        with Image.open(io.BytesIO(jpeg(picture))) as one:
            assert np.array_equal(pictures.x_train[row], np.asarray(one))
    assert np.array_equal(pictures.x_test, pictures.x_train[:4])
    assert pictures.classes == ("cat", "dog", "elk")
    assert np.array_equal(pictures.y_train, Y)

    monkeypatch.setattr(archives, "decoded", None)  # what is kept needs no decoding
    again = read_pictures(path)
    assert np.array_equal(again.x_train, pictures.x_train)
    assert np.array_equal(again.x_test, pictures.x_test)


def test_the_cache_goes_by_content(tmp_path: Path) -> None:
    path = tmp_path / "j.npz"
    for x in (X, X[::-1]):  # arrays of the same lengths, and other bytes
        archive(path, **streams(x, Y))
        with Image.open(io.BytesIO(jpeg(x[0]))) as one:
            assert np.array_equal(read_pictures(path).x_train[0], np.asarray(one))
    assert len(list(archives.cache_folder().iterdir())) == 2


def test_a_damaged_or_forbidden_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "j.npz", **streams(X, Y))
    whole = read_pictures(path).x_train
    (kept,) = archives.cache_folder().iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert np.array_equal(read_pictures(path).x_train, whole)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert np.array_equal(read_pictures(path).x_train, whole)


def test_the_cache_is_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert archives.cache_folder() == Path.home() / ".cache" / "rung"


def test_without_pillow_one_sentence_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "j.npz", **streams(X, Y))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UserError, match="needs Pillow: pip install pillow"):
        read_pictures(path)
    assert read_pictures((X, Y)).shape == (4, 5, 3)  # arrays need none


def test_a_folder_by_class(tmp_path: Path) -> None:
    path = folder(tmp_path / "pets", {"dog/2": X[2], "cat/deep/0": X[0], "cat/1": X[1], ".hidden/9": X[3]})
    (path / "cat" / "notes.txt").write_text("no picture")
    (path / "cat" / ".DS_Store").write_text("hidden")
    pictures = read_pictures(path)
    assert pictures.classes == ("cat", "dog")
    assert pictures.y_train.tolist() == [0, 0, 1]
    assert np.array_equal(pictures.x_train, X[[1, 0, 2]])
    assert pictures.name == "pets"
    assert pictures.notes == ("files left out, because no picture's suffix ends their names: 1",)


@pytest.mark.parametrize("part", ["test", "val"])
def test_a_folder_in_two_parts(tmp_path: Path, part: str) -> None:
    path = folder(tmp_path, {"train/b/0": X[0], "train/a/1": X[1], f"{part}/b/2": X[2]})
    pictures = read_pictures(path)
    assert np.array_equal(pictures.x_train, X[[1, 0]])
    assert np.array_equal(pictures.x_test, X[[2]])
    assert pictures.y_test.tolist() == [1]
    assert pictures.notes == (() if part == "test" else ("the pictures in val serve as the test part",))


def test_pictures_of_every_kind_become_8_bits(tmp_path: Path) -> None:
    path = tmp_path / "kinds"
    (path / "a").mkdir(parents=True)
    (path / "b").mkdir()
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5) * 12
    Image.fromarray(grey).save(path / "a" / "0.png")
    Image.fromarray(grey.astype(np.uint16) * 256 + 99).save(path / "a" / "1.png")  # 16 bits
    Image.fromarray(np.dstack([grey, grey])).save(path / "b" / "2.png")  # with transparency
    Image.fromarray(grey > 100).save(path / "b" / "3.png")  # one bit
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures = read_pictures(path)
    assert pictures.x_train.shape == (4, 4, 5, 1)
    for row in range(3):
        assert np.array_equal(pictures.x_train[row, ..., 0], grey)
    assert np.array_equal(pictures.x_train[3, ..., 0], (grey > 100) * np.uint8(255))


def test_one_colour_picture_makes_all_of_three_channels(tmp_path: Path) -> None:
    path = folder(tmp_path, {"a/0": X[0, ..., 0], "b/1": X[1]})
    pictures = read_pictures(path)
    assert np.array_equal(pictures.x_train[0], np.repeat(X[0, ..., :1], 3, axis=-1))
    assert np.array_equal(pictures.x_train[1], X[1])


def test_palettes_and_transparent_colours(tmp_path: Path) -> None:
    path = folder(tmp_path, {"a/0": X[0]})
    few = Image.fromarray(X[1]).quantize(4)
    few.save(path / "a" / "1.png", transparency=bytes([0, 9, 99, 255]))
    (path / "b").mkdir()
    Image.fromarray(np.dstack([X[2], X[2, ..., 0]])).save(path / "b" / "2.png")
    pictures = read_pictures(path)
    assert np.array_equal(pictures.x_train[1], np.asarray(few.convert("RGB")))
    assert np.array_equal(pictures.x_train[2], X[2])


def test_pictures_are_turned_as_the_camera_says(tmp_path: Path) -> None:
    path = folder(tmp_path, {"a/0": X[0]})
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    (path / "b").mkdir()
    Image.fromarray(X[1]).save(path / "b" / "1.png", exif=exif)
    assert np.array_equal(read_pictures(path).x_train[1], X[1, ::-1, ::-1])


def test_a_size_makes_mixed_pictures_equal(tmp_path: Path) -> None:
    path = folder(tmp_path, {"a/0": X[0], "b/1": np.full((40, 20, 3), 77, dtype=np.uint8)})
    with pytest.raises(DataError, match=r"mixed sizes: .*0\.png has 5 x 4 pixels, .*1\.png has 20 x 40"):
        read_pictures(path)
    pictures = read_pictures(path, size=8)
    assert pictures.shape == (8, 8, 3)
    assert (pictures.x_train[1] == 77).all()


def test_a_size_is_for_arrays_too() -> None:
    coarse = X[:4, :, :4, :1]
    x = coarse.repeat(2, axis=1).repeat(2, axis=2)
    pictures = read_pictures((x, [0, 1, 0, 1], x[:2], [0, 1]), size=4)
    assert pictures.shape == (4, 4, 1)
    assert pictures.x_test.shape == (2, 4, 4, 1)
    assert np.corrcoef(pictures.x_train.ravel(), coarse.ravel())[0, 1] > 0.95
