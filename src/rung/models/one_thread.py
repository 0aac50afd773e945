"""Linear algebra in one thread, while something is decided.

A model's matrices have a few hundred rows: a second thread gains nothing. And while a study decides its
workers have the cores: threads of BLAS that wait for each other then take several times as long as one alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, or within the function that it decorates, BLAS has one thread."""
    with _blas().limit(limits=1):
        yield


@cache
def _blas() -> Any:
    import scipy.linalg  # noqa: F401  # what is limited must be loaded before; SciPy has a BLAS of its own
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
