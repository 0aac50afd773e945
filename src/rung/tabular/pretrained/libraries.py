"""The libraries that pretrained models need, without their noise and without the network."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from rung.errors import UserError

_EXTRA: Final = "pip install 'rung[pretrained]'"


def library(name: str, how: str = _EXTRA) -> Any:
    """The library, imported.

    Raises:
        UserError: it is not installed.
    """
    if find_spec(name) is None:
        raise UserError(f"a pretrained model needs {name}, which is not installed: {how}")
    return import_module(name)


def first_line(error: BaseException) -> str:
    """What a library's error says, in short."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if len(text) <= 160 else f"{text[:157]}..."


@contextmanager
def quietly() -> Iterator[None]:
    """Without the libraries' own bars and warnings, and without the network, whatever a folder names."""
    before = {name: os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        with warnings.catch_warnings(), _without_words():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _without_words() -> Iterator[None]:
    """Such as tables of what was loaded: the level holds only after the first import, which sets its own."""
    if "transformers" not in sys.modules:
        yield
        return
    words = import_module("transformers.utils.logging")
    shown, level = words.is_progress_bar_enabled(), words.get_verbosity()
    words.disable_progress_bar()
    words.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        words.set_verbosity(level)
        if shown:
            words.enable_progress_bar()
