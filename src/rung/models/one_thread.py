"""Linear algebra in one thread, while something is decided.

A model's matrices have a few hundred rows: a second thread gains nothing. And while a study decides its
workers have the cores: threads of BLAS that wait for each other then take several times as long as one alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


def one_thread(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """The function, with BLAS limited to one thread while it runs; 15 microseconds."""

    @wraps(function)
    def alone(*args: _P.args, **named: _P.kwargs) -> _T:
        with _blas().limit(limits=1):
            return function(*args, **named)

    return alone


@cache
def _blas() -> Any:
    import scipy.linalg  # noqa: F401  # what is limited must be loaded before; SciPy has a BLAS of its own
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
