"""Pictures from scikit-learn, torch and arrays, and labels of every type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from rung.errors import DataError
from rung.nas.data.reading import read_pictures
from support.pictures import X, Y


def test_digits_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    pictures = read_pictures("digits")
    x, y = load_digits(return_X_y=True)
    assert pictures.shape == (8, 8, 1)
    assert (pictures.x_train.min(), pictures.x_train.max()) == (0, 255)
    assert np.abs(pictures.x_train.reshape(len(x), -1) / 255 - x / 16).max() < 0.002
    assert np.array_equal(pictures.y_train, y)
    assert not pictures.flippable


class Items:
    """A data set as torch's protocol has it, with names as torchvision's sets have them."""

    classes = ("cat", "dog", "elk")

    def __init__(self, make: Any, y: Any = Y) -> None:
        self.make, self.y = make, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> Any:
        return self.make(X[index]), self.y[index]


@pytest.mark.parametrize(
    "make",
    [
        Image.fromarray,
        lambda x: x,
        lambda x: torch.as_tensor(x).permute(2, 0, 1),
        lambda x: torch.as_tensor(x).permute(2, 0, 1) / 255,
        lambda x: torch.as_tensor(x).permute(2, 0, 1).double() / 255,
    ],
    ids=["pillow", "array", "bytes", "float", "double"],
)
def test_a_data_set_of_torch(make: Any) -> None:
    pictures = read_pictures(Items(make))
    assert np.array_equal(pictures.x_train, X)
    assert pictures.y_train.tolist() == Y.tolist()
    assert pictures.classes == ("cat", "dog", "elk")


def test_tensors_are_channels_first_however_narrow() -> None:
    x = torch.as_tensor(X[:, :, :3]).permute(0, 3, 1, 2)  # (12, 3, 4, 3)
    assert np.array_equal(read_pictures(TensorDataset(x, torch.as_tensor(Y))).x_train, X[:, :, :3])


def test_two_data_sets_are_train_and_test() -> None:
    x = torch.as_tensor(X).permute(0, 3, 1, 2)
    train, test = TensorDataset(x, torch.as_tensor(Y)), TensorDataset(x[:5], torch.as_tensor(Y[:5]))
    pictures = read_pictures((train, test))
    assert np.array_equal(pictures.x_train, X)
    assert np.array_equal(pictures.x_test, X[:5])
    assert np.array_equal(pictures.y_test, Y[:5])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x: (torch.as_tensor(x).permute(2, 0, 1) / 255 - 0.5) / 0.25, "leave normalisation out"),
        (lambda x: torch.full((3, 4, 5), torch.nan), "leave normalisation out"),
        (lambda x: x.astype(complex), "of type complex128"),
        (lambda x: x.ravel(), r"shape \(60,\)"),
        (lambda x: x[: 2 + int(x.sum()) % 2], "mixed sizes"),
    ],
)
def test_a_data_set_that_cannot_be_used(make: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_pictures(Items(make))


def test_an_item_without_a_label() -> None:
    class Bare(Items):
        def __getitem__(self, index: int) -> Any:
            return X[index]

    with pytest.raises(DataError, match="item 0 has no label"):
        read_pictures(Bare(None))


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x,
        lambda x: x / 255,
        lambda x: (x / 255).astype(np.float32),
        lambda x: x.astype(np.float64),
        lambda x: x.astype(np.int64),
        lambda x: x.transpose(0, 3, 1, 2),
        torch.as_tensor,
        lambda x: list(x),
    ],
    ids=["uint8", "unit", "unit32", "float", "int", "channels first", "tensor", "list"],
)
def test_arrays_in_every_form_are_the_same_pictures(form: Any) -> None:
    pictures = read_pictures((form(X), Y, form(X[:6]), Y[:6]))
    assert pictures.x_train.flags.c_contiguous
    assert np.array_equal(pictures.x_train, X)
    assert np.array_equal(pictures.x_test, X[:6])


def test_what_is_rounded_is_said() -> None:
    assert "rounded" in read_pictures((X / 255, Y)).notes[0]


def test_a_dark_test_part_is_on_the_scale_of_the_whole() -> None:
    pictures = read_pictures((X.astype(float), Y, np.ones((2, 4, 5, 3)), [0, 1]))
    assert (pictures.x_test == 1).all()


@pytest.mark.parametrize(
    ("labels", "codes", "classes"),
    [
        (["b", "a", "b"], [1, 0, 1], ("a", "b")),
        (np.array([b"b", b"a", b"b"]), [1, 0, 1], ("a", "b")),
        (np.array(["b", "a", "b"], dtype=object), [1, 0, 1], ("a", "b")),
        ([7, -1, 7], [1, 0, 1], ("-1", "7")),
        ([2.0, 1.0, 2.0], [1, 0, 1], ("1", "2")),
        ([True, False, True], [1, 0, 1], ("False", "True")),
        ([[3], [2], [3]], [1, 0, 1], ("2", "3")),
        ([[0, 1], [1, 0], [0, 1]], [1, 0, 1], ("0", "1")),
        (torch.tensor([1, 0, 1]), [1, 0, 1], ("0", "1")),
    ],
)
def test_labels_of_every_type(labels: Any, codes: list[int], classes: tuple[str, ...]) -> None:
    pictures = read_pictures((X[:3], labels, X[:3], labels))
    assert pictures.y_train.tolist() == pictures.y_test.tolist() == codes
    assert pictures.classes == classes


def test_labels_of_two_types_are_matched_by_their_text() -> None:
    pictures = read_pictures((X, [10, 9] * 6, X[:3], ["9", "10", "9"]))
    assert pictures.y_test.tolist() == [0, 1, 0]
