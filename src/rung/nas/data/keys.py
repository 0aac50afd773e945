"""Seeds made of a key, so that randomness is a function of where it is drawn and needs no state."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(*key: int | str) -> int:
    """A seed of 63 bits for a key such as (seed, epoch, batch, "augment"); other keys, other seeds.

    Args:
        key: whole numbers of any size and sign, and words.
    """
    text = "/".join(f"{type(part).__name__}:{part}" for part in key).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def numbers(*key: int | str) -> np.random.Generator:
    """NumPy's random numbers for a key."""
    return np.random.default_rng(seed_of(*key))
