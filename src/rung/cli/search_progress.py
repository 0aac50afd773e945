"""What `rung search` shows while it searches: a bar and the cell so far on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rung.analysis.wording import cell_text
from rung.cli.moving import Moving
from rung.cli.search_retrain_progress import PATIENCE
from rung.study.durations import spoken

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rung.nas.genotype import Genotype
    from rung.nas.loop import Plan, Record


class SearchProgress(Moving):
    """Watches a search: called after each epoch with its record.

    Args:
        title: what is searched, in a few words.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self._record: Record | None = None
        self._phase = "starting"
        self._searching = time.monotonic()
        self._beyond = "finishing"  # said after the last epoch of the plan
        self._before = 0  # epochs of an earlier session
        self._epochs = 0
        self._began = time.monotonic()
        self._seen = self._began  # when the latest record came
        self._printed = self._began  # when the latest phase was

    def phase(self, text: str) -> None:
        """Take over what is being done, in a few words.

        Of those that differ behind their colon alone a plain line is printed now and then.
        """
        same = text.partition(": ")[0] == self._phase.partition(": ")[0]
        self._phase = text
        self._searching = now = time.monotonic()
        if self._plain and not (same and now - self._printed < PATIENCE):
            self._printed = now
            self._console.print(text, markup=False)

    def __call__(self, record: Record, plan: Plan) -> None:
        if self._record is None:
            self._before = record.epoch - 1
        self._record, self._epochs = record, plan.recipe.epochs
        self._beyond = "deciding what is left" if hasattr(plan.strategy, "more") else "finishing"
        self._seen = time.monotonic()
        if self._plain:
            self._console.print(f"{self._numbers(record)}, {self._left()}", markup=False)

    def _numbers(self, record: Record) -> str:
        judged = f"held-out loss {record.loss:.4f}"
        if record.accuracy is not None:
            judged = f"held-out accuracy {record.accuracy:.4f}"
        over = record.epoch - self._epochs
        count = f"epoch {record.epoch}/{self._epochs}" if over <= 0 else f"epoch {self._epochs} + {over}"
        parts = [count, f"train loss {record.train_loss:.4f}", judged]
        if record.temperature is not None:
            parts.append(f"temperature {record.temperature:.3f}")
        return ", ".join([*parts, f"{record.operations} operations left"])

    def _left(self) -> str:
        record = self._record
        if record is None or self._phase != "searching":
            return self._phase.partition(": ")[0]
        if record.epoch >= self._epochs:
            return self._beyond
        each = (self._seen - self._searching) / max(record.epoch - self._before, 1)
        left = each * (self._epochs - record.epoch) - (time.monotonic() - self._seen)
        return f"about {spoken(max(left, 0.0))} left" if left > 0 else "finishing"

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        from rung.nas.genotype import Genotype

        record = self._record
        grid = Table.grid(padding=(0, 2))
        done = 0 if record is None else record.epoch
        grid.add_row(
            Text(self._title, style="bold"),
            ProgressBar(total=max(self._epochs, 1), completed=done, width=24),
            Text(self._left(), style="bold cyan"),
        )
        if record is None:
            return Group(grid, Text(f"first epoch, {spoken(time.monotonic() - self._began)} so far"))
        what = self._phase.partition(": ")[2]
        doing = [Text(what, style="cyan")] if what else []
        return Group(
            grid, *doing, Text(self._numbers(record)), *cell_lines(Genotype.from_dict(record.genotype))
        )


def cell_lines(genotype: Genotype) -> list[RenderableType]:
    """A genotype, a line a cell."""
    from rich.text import Text

    lines: list[RenderableType] = []
    for name, cell in genotype.cells:
        lines.append(Text.assemble((f"{name:>9}  ", "bold"), (cell_text(cell), "dim")))
    return lines
