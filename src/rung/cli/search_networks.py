"""What `rung search` shows while networks are trained, one after the other or several at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rung.cli.moving import Moving
from rung.cli.search_progress import cell_lines
from rung.study.durations import spoken

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rung.nas.complete import Progress
    from rung.nas.complete_plan import CompletePlan
    from rung.nas.task import Scores


class NetworksProgress(Moving):
    """Watches a search over complete networks: called with its progress.

    Args:
        title: what is searched, in a few words.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self._seen: Progress | None = None
        self._phase = "starting"
        self._began = time.monotonic()
        self._first = 0.0  # networks done before this session

    def phase(self, text: str) -> None:
        """Take over what is being done, in a few words."""
        self._phase, self._began = text, time.monotonic()
        if self._plain:
            self._console.print(text, markup=False)

    def __call__(self, seen: Progress) -> None:
        if self._seen is None:
            self._first = float(seen.ended - seen.done)
        self._seen = seen
        if seen.done and self._plain:
            self._console.print(f"{self._numbers(seen)}, {self._left()}", markup=False)

    @staticmethod
    def _numbers(seen: Progress) -> str:
        parts = [f"network {seen.number}/{seen.networks}"]
        if not seen.done:
            parts.append(f"epoch {seen.epoch}/{seen.epochs}")
        if seen.scores is not None:
            parts.append("held-out " + " ".join(_spoken(seen.scores)))
        best = seen.best
        if best is not None and best.scores is not None:
            parts.append(f"best {_spoken(best.scores)[1]} of network {best.number}")
        return ", ".join(parts)

    def _done(self) -> float:
        """Networks, with a share of the one that is trained now."""
        seen = self._seen
        if seen is None:
            return 0.0
        return seen.ended if seen.done else seen.ended + seen.epoch / seen.epochs

    def _left(self) -> str:
        seen, done = self._seen, self._done()
        if seen is None or self._phase != "searching" or done <= self._first:
            return self._phase
        left = (time.monotonic() - self._began) / (done - self._first) * (seen.networks - done)
        return f"about {spoken(left)} left" if left > 0 else "finishing"

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        seen = self._seen
        grid = Table.grid(padding=(0, 2))
        total = 1 if seen is None else seen.networks
        grid.add_row(
            Text(self._title, style="bold"),
            ProgressBar(total=total, completed=self._done(), width=24),
            Text(self._left(), style="bold cyan"),
        )
        if seen is None:
            return Group(grid, Text(f"first network, {spoken(time.monotonic() - self._began)} so far"))
        cells = [] if seen.best is None else cell_lines(seen.best.genotype)
        return Group(grid, Text(self._numbers(seen)), *cells)


def _spoken(scores: Scores) -> tuple[str, str]:
    """What held-out data is scored by, and how well."""
    if scores.accuracy is not None:
        return "accuracy", f"{scores.accuracy:.4f}"
    from rung.nas.recurrent.language import perplexity

    return "perplexity", f"{perplexity(scores.loss):.1f}"


def announced(plan: CompletePlan) -> str:
    """What will be searched, in a line."""
    recipe = plan.recipe
    said = (
        f"{plan.strategy} in space {plan.space.name}, seed {plan.seed}: {plan.networks} networks of "
        f"{plan.task.width(recipe)}, each trained for "
        f"{recipe.retrain_epochs} epoch{'s' * (recipe.retrain_epochs != 1)}"
    )
    return said if plan.workers == 1 else f"{said}, {plan.workers} at a time"


def rows_of(tried: Any) -> str:
    """How many networks were trained, in words."""
    count = sum(one["score"] is not None for one in tried)
    return f"{count} network{'s' * (count != 1)}"
