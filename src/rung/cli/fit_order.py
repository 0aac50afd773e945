"""What a fit was asked for, as the log keeps it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rung.cli.engine import cluster_of
from rung.cli.options import DEFAULT_STORAGE
from rung.cli.wishes import Wishes

if TYPE_CHECKING:
    from rung.executors.setup import Engine


@dataclasses.dataclass(frozen=True)
class Order:
    """What a fit was asked for; the log keeps it, so that `rung resume` can go on."""

    table: str
    target: str
    budget: float = 60.0
    task: str | None = None
    metric: str | None = None
    holdout: float | None = None
    seed: int = 0
    workers: int | None = None
    out: str = "model.rung"
    report: str = "report.html"
    wishes: Wishes = dataclasses.field(default_factory=Wishes)
    executor: str | None = None
    address: str | None = None
    needs: str | None = None
    alone: str | None = None  # where this target's model would go by itself, if it becomes part of a file

    @property
    def engine(self) -> Engine | None:
        """Where trials are evaluated, if not on this machine.

        Raises:
            UserError: another executor than Ray; it cannot be loaded; needs that are not understood.
        """
        return cluster_of(self.executor, self.address, self.needs, "evaluates")

    def command(self, storage: str, study: str) -> str:
        """The command that asks for the same, every choice written out."""
        import shlex

        from rung.storage import shown

        words = ["rung", "fit", self.table, "--target", self.target, "--budget", f"{self.budget:g}s"]
        given = {"--task": self.task, "--metric": self.metric, "--workers": self.workers}
        given |= {"--executor": self.executor, "--address": self.address, "--needs": self.needs}
        if self.holdout:
            given["--holdout"] = f"{self.holdout:.6g}"
        for option, value in given.items():
            words += [] if value is None else [option, str(value)]
        words += self.wishes.words()
        words += ["--seed", str(self.seed), "--out", self.alone or self.out, "--report", self.report]
        return shlex.join(words + ([] if storage == DEFAULT_STORAGE else ["--storage", shown(storage)]))
