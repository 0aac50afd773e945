"""Points of a scrambled Sobol sequence by their numbers, those of SciPy's `qmc.Sobol` to the last bit.

SciPy makes them in `scipy.stats`, which takes longer to import than a short study takes to decide anything.
Here is what the first coordinates need: direction numbers (Joe and Kuo 2008, Constructing Sobol sequences
with better two-dimensional projections; their list `new-joe-kuo-6`), and Matousek's scramble (1998, On the
L2-discrepancy for anchored boxes), a random lower triangular matrix for each coordinate and a random shift.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Words = NDArray[np.uint32]

BITS: Final = 30  # of a coordinate; a sequence has 2**BITS points

# by coordinate a primitive polynomial's coefficients, as bits, and the first direction numbers
_TABLE: Final = (
    (1, (1,)),
    (3, (1,)),
    (7, (1, 3)),
    (11, (1, 3, 1)),
    (13, (1, 1, 1)),
    (19, (1, 1, 3, 3)),
    (25, (1, 3, 5, 13)),
    (37, (1, 1, 5, 5, 17)),
    (41, (1, 1, 5, 5, 5)),
    (47, (1, 1, 7, 11, 19)),
    (55, (1, 1, 5, 1, 1)),
    (59, (1, 1, 1, 3, 11)),
    (61, (1, 3, 5, 5, 31)),
    (67, (1, 3, 3, 9, 7, 49)),
    (91, (1, 1, 1, 15, 21, 21)),
    (97, (1, 3, 1, 13, 27, 49)),
    (103, (1, 1, 1, 15, 7, 5)),
    (109, (1, 3, 1, 15, 13, 25)),
    (115, (1, 1, 5, 5, 19, 61)),
    (131, (1, 3, 7, 11, 23, 15, 103)),
    (137, (1, 3, 7, 13, 13, 15, 69)),
    (143, (1, 1, 3, 13, 7, 35, 63)),
    (145, (1, 3, 5, 9, 1, 25, 53)),
    (157, (1, 3, 1, 13, 9, 35, 107)),
    (167, (1, 3, 1, 5, 27, 61, 31)),
    (171, (1, 1, 5, 11, 19, 41, 61)),
    (185, (1, 3, 5, 3, 3, 13, 69)),
    (191, (1, 1, 7, 13, 1, 19, 1)),
    (193, (1, 3, 7, 5, 13, 19, 59)),
    (203, (1, 1, 3, 9, 25, 29, 41)),
    (211, (1, 3, 5, 13, 23, 1, 55)),
    (213, (1, 3, 7, 3, 13, 59, 17)),
)
MOST: Final = len(_TABLE)  # coordinates, at most


class Points:
    """A sequence of at most `MOST` coordinates, scrambled by what `generator` draws."""

    def __init__(self, coordinates: int, generator: np.random.Generator) -> None:
        generator = generator.spawn(1)[0]  # as SciPy does
        size = coordinates, BITS
        powers = 1 << np.arange(BITS, dtype=np.uint32)
        shift = generator.integers(2, size=size, dtype=np.uint32)
        self._shift: Words = (shift * powers).sum(axis=1, dtype=np.uint32)
        lower = np.tril(generator.integers(2, size=(*size, BITS), dtype=np.uint32))
        lower[:, np.arange(BITS), np.arange(BITS)] = 1
        plain = np.array([_directions(*row) for row in _TABLE[:coordinates]], dtype=np.uint32)
        digits = (plain[:, :, None] // powers[::-1]) & 1  # (coordinates, BITS, BITS), the highest first
        mixed = (digits @ lower.transpose(0, 2, 1)) & 1
        self._directions: Words = (mixed * powers[::-1]).sum(axis=2, dtype=np.uint32)

    def __call__(self, first: int, count: int) -> Floats:
        """Points `first` ... `first + count - 1`: (count, coordinates) in [0, 1)."""
        numbers = np.arange(first, first + count)
        gray = numbers ^ (numbers >> 1)
        found = np.repeat(self._shift[None], count, axis=0)
        for bit in range(int(gray.max()).bit_length()):
            found ^= np.where((gray >> bit & 1)[:, None], self._directions[:, bit], 0).astype(np.uint32)
        return found.astype(np.float64) * 2.0**-BITS


def _directions(polynomial: int, first: tuple[int, ...]) -> list[int]:
    """The BITS direction numbers of a coordinate, as binary fractions of BITS digits."""
    degree = polynomial.bit_length() - 1
    found = list(first) if degree else [1] * BITS
    for j in range(degree, BITS if degree else 0):
        new = found[j - degree]
        for k in range(degree):
            if polynomial >> (degree - 1 - k) & 1:
                new ^= found[j - k - 1] << (k + 1)
        found.append(new)
    return [number << (BITS - 1 - j) for j, number in enumerate(found)]
