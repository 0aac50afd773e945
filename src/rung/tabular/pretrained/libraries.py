"""The libraries that pretrained models need, without their noise and without the network."""

from __future__ import annotations

import logging
import os
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
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), _without_bars():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _without_bars() -> Iterator[None]:
    if find_spec("transformers") is None:
        yield
        return
    bars = import_module("transformers.utils.logging")
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()
