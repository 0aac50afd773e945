"""The rung command: it parses, calls and prints; nothing imports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and exit: 0 good, 1 no usable result, 2 bad input, 130 interrupted."""
    import gc

    gc.set_threshold(50_000, 20, 20)  # starting makes many objects and no garbage: a tenth of its time
    from rung.cli.app import app  # Typer is loaded only for the command
    from rung.cli.output import mend_streams, show_warnings
    from rung.tabular.skops_loading import only_rung_asks

    only_rung_asks()
    mend_streams()
    show_warnings()
    try:
        app(args=None if argv is None else list(argv), prog_name="rung")
    except SystemExit as leaving:
        _leave(leaving)
        raise
    raise SystemExit(0)


def _leave(leaving: SystemExit) -> None:
    """End at once after a second Ctrl-C: Python would wait for the fits that still run in threads."""
    from rung.cli.exits import INTERRUPTED

    if leaving.code != INTERRUPTED:
        return
    import os
    import sys

    from rung.tabular.interrupts import abandoned

    if abandoned():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)
