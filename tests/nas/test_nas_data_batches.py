"""The order of batches, and that it needs no state."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rung.errors import DataError
from rung.nas.data.augment import Augmentation
from rung.nas.data.batches import batches, evaluation_batches

N, SIZE = 50, 8
# Each picture is its number in every pixel, so that one sees where it went.
X = np.broadcast_to(np.arange(N, dtype=np.uint8)[:, None, None, None], (N, 4, 4, 3)).copy()
Y = np.arange(N)
PLAIN = Augmentation((0.0,) * 3, (1 / 255,) * 3)
RANDOM = Augmentation((0.5,) * 3, (0.25,) * 3, padding=2, flip=True, cutout=2)


def epoch(
    number: int, seed: int = 0, augmentation: Augmentation = PLAIN
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(batches(X, Y, SIZE, seed=seed, epoch=number, augmentation=augmentation))


def order(number: int, seed: int = 0) -> list[int]:
    return [int(label) for _, y in epoch(number, seed) for label in y]


def test_each_picture_occurs_at_most_once_with_its_label() -> None:
    found = epoch(0)
    assert [len(y) for _, y in found] == [SIZE] * (N // SIZE)
    seen = order(0)
    assert len(set(seen)) == len(seen) == N - N % SIZE
    for x, y in found:
        assert x.dtype == torch.float32
        assert torch.equal(x[:, 0, 0, 0].round().long(), y)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    assert order(0) != order(1)
    assert order(0, seed=1) != order(0, seed=2)
    assert order(0, seed=1) != order(1, seed=0)
    assert order(3) == order(3)


def test_what_is_left_out_changes_from_epoch_to_epoch() -> None:
    left = [set(range(N)) - set(order(number)) for number in range(8)]
    assert len({tuple(sorted(each)) for each in left}) > 1


def test_an_epoch_needs_nothing_but_its_number() -> None:
    """One that is asked for alone equals one that comes after others, whatever is drawn elsewhere."""
    after = [epoch(number, augmentation=RANDOM) for number in range(3)][2]
    torch.manual_seed(123)
    torch.rand(7)
    alone = epoch(2, augmentation=RANDOM)
    state = torch.get_rng_state()
    for (x, y), (x2, y2) in zip(after, alone, strict=True):
        assert torch.equal(x, x2)
        assert torch.equal(y, y2)
    assert torch.equal(state, torch.get_rng_state())


def test_a_batch_does_not_depend_on_whether_others_were_looked_at() -> None:
    whole = epoch(1, augmentation=RANDOM)
    stream = batches(X, Y, SIZE, seed=0, epoch=1, augmentation=RANDOM)
    next(stream)
    torch.rand(3)
    assert torch.equal(next(stream)[0], whole[1][0])


def test_batches_are_augmented_each_in_its_own_way() -> None:
    same = np.broadcast_to(X[7], (N, 4, 4, 3)) + np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    found = [x for x, _ in batches(same, Y, SIZE, seed=0, epoch=0, augmentation=RANDOM)]
    assert not torch.equal(found[0], found[1])
    again = [x for x, _ in batches(same, Y, SIZE, seed=0, epoch=1, augmentation=RANDOM)]
    assert not torch.equal(found[0], again[0])


def test_evaluation_takes_all_in_order_and_changes_nothing() -> None:
    found = list(evaluation_batches(X, Y, 16, augmentation=RANDOM))
    assert [len(y) for _, y in found] == [16, 16, 16, 2]
    assert torch.cat([y for _, y in found]).tolist() == list(range(N))
    x = torch.cat([x for x, _ in found])
    assert torch.allclose(x[:, 1, 2, 3], (torch.arange(N) / 255 - 0.5) / 0.25, atol=1e-6)


def test_tensors_are_taken_too() -> None:
    found = list(batches(torch.as_tensor(X), torch.as_tensor(Y), SIZE, seed=0, epoch=0, augmentation=PLAIN))
    assert [y.tolist() for _, y in found] == [y.tolist() for _, y in epoch(0)]


def test_what_cannot_be_is_said_at_once() -> None:
    with pytest.raises(DataError, match="a batch of 51 needs as many pictures"):
        batches(X, Y, N + 1, seed=0, epoch=0, augmentation=PLAIN)
    with pytest.raises(DataError, match="50 pictures and 49 labels"):
        batches(X, Y[:-1], SIZE, seed=0, epoch=0, augmentation=PLAIN)
    with pytest.raises(DataError, match="a batch of 0"):
        evaluation_batches(X, Y, 0, augmentation=PLAIN)
