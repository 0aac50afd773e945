"""Worker processes do without the packages for frames that learners' libraries load when they are there.

scikit-learn, LightGBM and others load pandas, and with it pyarrow, only to know a frame when they are given
one. A worker has arrays alone.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent(MetaPathFinder):
    """Says of some packages that they are not installed."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in self._names:
            raise ModuleNotFoundError(f"{fullname} is left out of this worker process", name=fullname)
        return None


@contextmanager
def without(names: Collection[str]) -> Iterator[None]:
    """Within, these packages cannot be imported, as if they were not installed.

    Where pandas is loaded already nothing is left out: that is the user's own process, with frames in it.
    """
    if "pandas" in sys.modules:
        yield
        return
    absent = _Absent(names)
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)
