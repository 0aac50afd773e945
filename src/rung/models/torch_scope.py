"""The scope in which PyTorch is used: no state of the process is other afterwards, and the same is computed.

Neither this file nor any other imports torch before a model is first fitted.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from rung.errors import StudyError

_NEEDED: Final = ("torch", "botorch")


def require(method: str) -> None:
    """Look whether BoTorch is installed, without importing it.

    Raises:
        StudyError: it is not.
    """
    if any(find_spec(package) is None for package in _NEEDED):
        raise StudyError(f"{method!r} needs BoTorch, which is not installed: pip install 'rung[gp]'")


@contextmanager
def scope(seed: int = 0) -> Iterator[None]:
    """One thread, and a random state of its own that begins at `seed`.

    The only warnings silenced are those about deprecated things that the libraries use of each other.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        import torch

        threads, state = torch.get_num_threads(), torch.get_rng_state()
        torch.default_generator.manual_seed(seed)  # torch.manual_seed looks at every accelerator, too: 2 ms
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_rng_state(state)
