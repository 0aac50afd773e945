"""A display that moves on a terminal, and is plain lines elsewhere: what those of all doors share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rung.cli import output

if TYPE_CHECKING:
    from rich.console import RenderableType


class Moving:
    """What is shown while something runs; a child says by `__rich__` what."""

    def __init__(self) -> None:
        self._console = output.err()
        self._live = False

    def __rich__(self) -> RenderableType:
        raise NotImplementedError

    @property
    def _plain(self) -> bool:
        """Whether lines are wanted in place of what moves."""
        return not self._live and not output.quiet()

    @contextmanager
    def showing(self) -> Iterator[None]:
        """While it runs: the moving display, if anybody sees it."""
        if output.quiet() or not self._console.is_terminal:
            yield
            return
        from rich.live import Live

        self._live = True
        try:
            with Live(self, console=self._console, refresh_per_second=4, transient=True):
                yield
        finally:
            self._live = False
