"""What a training from scratch shows: a bar and two lines on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rung.cli import output
from rung.cli.moving import Moving
from rung.cli.sizes import spoken_size
from rung.study.durations import spoken

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rung.nas.retraining_epochs import Row, Tick
    from rung.nas.training_page import TrainingPage

PATIENCE: Final = 5.0  # seconds between two plain lines


class RetrainProgress(Moving):
    """Watches a training: called after each step.

    Args:
        title: what is trained, in a few words.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self._tick: Tick | None = None
        self._row: Row | None = None
        self._began = time.monotonic()
        self._start: tuple[float, float] | None = None  # share and seconds of the training at the first tick
        self._printed = self._began

    @property
    def epochs_done(self) -> int:
        """Whole epochs, those before an interruption too."""
        tick = self._tick
        return 0 if tick is None else tick.epoch + (tick.row is not None)

    @property
    def epochs(self) -> int:
        """That are planned; 0 before the first step."""
        return 0 if self._tick is None else self._tick.epochs

    def __call__(self, tick: Tick) -> None:
        self._tick, self._row = tick, tick.row or self._row
        if self._start is None:
            self._start = _share(tick), tick.seconds
        last = tick.row is not None and tick.epoch + 1 == tick.epochs
        due = tick.row is not None and (last or time.monotonic() - self._printed >= PATIENCE)
        slow = time.monotonic() - self._printed >= 12 * PATIENCE
        if (due or slow) and self._plain:
            self._printed = time.monotonic()
            self._console.print(", ".join([*self._now(tick), *self._known(), self._left()]))

    def tell(self, note: str) -> None:
        """Say something, above the moving display if there is one."""
        if not output.quiet():
            self._console.print(note, soft_wrap=True)

    def _now(self, tick: Tick) -> list[str]:
        if tick.row is not None:
            return [f"epoch {tick.epoch + 1}/{tick.epochs}"]
        where = f"epoch {tick.epoch + 1}/{tick.epochs}, step {tick.step}/{tick.steps}"
        return [where, f"loss {tick.loss:.4f}"]

    def _known(self) -> list[str]:
        row = self._row
        if row is None:
            return []
        known = [f"train loss {row.train_loss:.4f}", f"train accuracy {row.train_accuracy:.4f}"]
        return known if row.accuracy is None else [*known, f"test accuracy {row.accuracy:.4f}"]

    def _left(self) -> str:
        """From how long the share that was done since the first tick has taken."""
        tick = self._tick
        if tick is None or self._start is None:
            return "starting"
        if _share(tick) >= 1.0:
            return f"{spoken(tick.seconds)} in all"
        done, seconds = _share(tick) - self._start[0], tick.seconds - self._start[1]
        if done <= 0:
            return "starting"
        return f"about {spoken(seconds / done * (1.0 - _share(tick)))} left"

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        grid, tick = Table.grid(padding=(0, 2)), self._tick
        grid.add_row(
            Text(self._title, style="bold"),
            ProgressBar(total=1.0, completed=0.0 if tick is None else _share(tick), width=32),
            Text(self._left(), style="bold cyan"),
        )
        if tick is None:
            waiting = f"first step, {spoken(time.monotonic() - self._began)} so far"
            return Group(grid, Text(waiting, style="dim"))
        lines: list[RenderableType] = [Text(", ".join(self._now(tick)))]
        if self._row is not None:
            lines.append(Text(f"after epoch {self._row.epoch}: {', '.join(self._known())}", style="dim"))
        return Group(grid, *lines)


def _share(tick: Tick) -> float:
    """Of all steps, those that are done."""
    return (tick.epoch + tick.step / max(tick.steps, 1)) / tick.epochs


def figures(name: str, found: Any) -> tuple[str, ...]:
    """A row of the table of trained cells."""
    return (
        name,
        f"{100 * (1 - found.accuracy):.2f} %",
        f"{found.loss:.4f}",
        f"{found.parameters:,}",
        f"{found.multiply_adds / 1e6:,.1f} M",
        str(found.epochs),
        spoken(found.seconds),
    )


COLUMNS: Final = ("cell", "test error", "test loss", "parameters", "multiply-adds", "epochs", "time")


def interrupted(done: int, planned: int, out: Path, before: int = 0) -> str:
    """What is kept, and the command that goes on.

    Args:
        done: whole epochs, of how many that are planned.
        out: beside which the checkpoint lies.
        before: networks that were trained before this one, and are kept.
    """
    kept = [f"{before} trained network{'s' * (before > 1)}"] if before else []
    if done:
        kept.append(f"{done} of {planned} epochs{' of the next one' * bool(before)}")
    elif out.with_name(out.name + ".checkpoint").exists():
        kept.append("the epochs that were done before")
    if not kept:
        return "interrupted in the first epoch: nothing is kept"
    words = ["rung", *(word for word in sys.argv[1:] if word != "--resume"), "--resume"]
    are = "is" if kept == ["1 trained network"] else "are"
    return f"interrupted; {' and '.join(kept)} {are} kept. Go on with: {shlex.join(words)}"


def write_page(page: TrainingPage, report: Path) -> None:
    """Write the page of a training, and say where it is."""
    from rung.nas.training_page import write_training_page

    words = ["rung", *(word for word in sys.argv[1:] if word != "--resume")]
    write_training_page(page, report, shlex.join(words))
    output.say(f"page    {report} ({spoken_size(report.stat().st_size)})")
