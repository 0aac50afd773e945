"""Executors by name: our own and those of other packages."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import Any

from rung.errors import StudyError
from rung.executors import EXECUTORS, GROUP


def known() -> dict[str, str]:
    """All names, and where each is: "module:callable". Ours are never replaced by a plug-in's."""
    return {**{point.name: point.value for point in entry_points(group=GROUP)}, **EXECUTORS}


def load(name: str) -> Callable[[Any], Any]:
    """What makes an executor of this name from a `Setup`."""
    path = EXECUTORS.get(name) or known().get(name)
    if path is None:
        close = get_close_matches(name, known(), n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise StudyError(f"unknown executor {name!r}: {hint}known are {', '.join(known())}")
    try:
        made: Callable[[Any], Any] = resolve_name(path)
    except (Exception, SystemExit) as error:  # whatever another package's import raises
        if name not in EXECUTORS:
            warnings.warn(
                f"the executor {name!r} cannot be loaded ({type(error).__name__}: {error})",
                RuntimeWarning,
                stacklevel=3,
            )
        raise StudyError(f"the executor {name!r} cannot be loaded from {path!r}: {error}") from error
    return made
