"""Random numbers as a pure function of (seed, trial number, dimension).

There is no generator state to store: a single draw and a block of 256 hold the same values, so a block is
only a cache. SplitMix64 (Steele, Lea, Flood 2014) mixes the three; its output passes BigCrush as a counter.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def _mix_array(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def key(seed: int, *parts: int) -> int:
    """A 64-bit key for `parts` under `seed`: one per (trial), (trial, attempt), ... whatever is asked."""
    z = _mix((seed + _GOLDEN) & _MASK)
    for part in parts:
        z = _mix((z + (part + 1) * _GOLDEN) & _MASK)
    return z


def uniforms(seed: int, first: int, count: int, dims: int, stream: int = 0) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) for trials `first` ... `first + count - 1`.

    Args:
        stream: another one gives independent numbers for the same trials (a second try, say).

    Returns:
        (count, dims) array; entry (i, j) depends on (seed, stream, first + i, j) only.
    """
    return uniforms_of(seed, np.arange(first, first + count), dims, stream)


def uniforms_of(seed: int, numbers: NDArray[np.int64], dims: int, stream: int = 0) -> NDArray[np.float64]:
    """The same for trials of any numbers: a row for each of `numbers`."""
    base = np.uint64(key(seed, stream))
    golden = np.uint64(_GOLDEN)
    counters = (numbers + 1).astype(np.uint64)
    with np.errstate(over="ignore"):
        rows = _mix_array(base + counters * golden)  # (count,)
        columns = np.arange(1, dims + 1, dtype=np.uint64) * golden  # (dims,)
        bits = _mix_array(rows[:, None] + columns[None, :])  # (count, dims)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Rng(NamedTuple):
    """The randomness of one suggestion: made from the study's seed and the trial's number, nothing else."""

    seed: int
    number: int

    def generator(self) -> np.random.Generator:
        """A NumPy generator of this trial's own."""
        return np.random.Generator(np.random.Philox(key=key(self.seed, self.number)))


def trial_seed(seed: int, number: int) -> int:
    """The seed that trial `number` hands to the objective, below 2**31."""
    return _mix((_trial_key(seed) + (number + 1) * _GOLDEN) & _MASK) >> 33


@lru_cache(maxsize=64)
def _trial_key(seed: int) -> int:
    return key(seed, 7)  # apart from the keys of suggestions
