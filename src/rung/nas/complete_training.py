"""The objective of a search over complete networks: it trains one, in this process or in a worker's."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.errors import DataError, Infeasible, UserError
from rung.executors.calling import EndedError
from rung.executors.handle import Trial
from rung.nas.complete_kind import Watching
from rung.nas.complete_plan import CompletePlan
from rung.nas.data.keys import seed_of
from rung.nas.discrete.configurations import genotype_of
from rung.nas.genotype import Genotype
from rung.nas.loop import Diverged
from rung.nas.memory import OutOfMemory
from rung.nas.retraining_files import discard, gone_on
from rung.nas.task import Scores
from rung.storage.whole import write_whole
from rung.trials.events import Failure

Told = Callable[[int, int, Scores | None], object]


@dataclass(frozen=True)
class Training:
    """Trains a trial's network, unless the same was trained before: it would come to the same.

    Attributes:
        plan: of the search.
        folder: where checkpoints of trainings under way lie, and what came of those that ended.
        told: called after each epoch with the trial's number, the epoch, and the scores on held-out data,
            None where it was not looked at; for a training in the caller's own process.
    """

    plan: CompletePlan
    folder: Path
    told: Told | None = None

    def __call__(self, trial: Trial) -> dict[str, float]:
        """The metrics of the network after its last epoch.

        Raises:
            Infeasible: its loss is not finite.
            EndedError: it cannot be trained now; the study ends, and goes on with it when that is mended.
        """
        genotype = genotype_of(self.plan.space, trial.config)
        known = self._known(trial.number, genotype)
        if known is not None:
            return known
        try:
            metrics = self._trained(trial, genotype)
            self._keep(trial.number, genotype, metrics)
        except Diverged as why:
            raise Infeasible(str(why)) from why
        except DataError as error:  # its checkpoint
            said = str(error).partition(": give another")[0]
            raise EndedError(
                f"the training of network {trial.number + 1} cannot be kept: {said}; mend that, and go on "
                "with the same study: the networks before it are kept",
                Failure.INTERRUPTED,
            ) from error
        except OutOfMemory as error:
            raise EndedError(error.in_a_search(), Failure.INTERRUPTED) from error
        except UserError as error:  # it would be the same of the next
            raise EndedError(str(error), Failure.INTERRUPTED) from error
        return metrics

    def _trained(self, trial: Trial, genotype: Genotype) -> dict[str, float]:
        plan = self.plan
        out = self.folder / f"{trial.number}.pt"
        self.folder.mkdir(parents=True, exist_ok=True)
        metrics = self._metrics(genotype)

        def seen(epoch: int, scores: Scores | None) -> None:
            if self.told is not None:
                self.told(trial.number, epoch, scores)

        def kept(epoch: int, scores: Scores) -> None:
            values: dict[str, Any] = {**metrics(epoch, scores)}
            trial.report(epoch, **values)

        watching = Watching(seen, kept)

        def trained(resume: bool) -> tuple[int, Scores]:
            return plan.task.train(genotype, plan.recipe, out=out, resume=resume, watch=watching)

        found, again = gone_on(trained, out)
        if again is not None:
            warnings.warn(f"the training of network {trial.number + 1} is {again}", stacklevel=2)
        discard(out)
        return metrics(*found)

    def _metrics(self, genotype: Genotype) -> Callable[[int, Scores], dict[str, float]]:
        """What is told of a network after so many epochs, by epoch and scores."""
        plan = self.plan
        size, multiply_adds = plan.task.size(genotype, plan.recipe)
        price = plan.price(genotype)

        def metrics(epoch: int, scores: Scores) -> dict[str, float]:
            told = plan.task.told(scores)
            steps, samples = plan.task.passes(plan.recipe, epoch)
            return {
                **told,
                plan.task.metric: told[plan.task.metric] + price,
                "parameters": float(size),
                "multiply_adds": float(multiply_adds or 0),
                "passes": float(steps),
                "images": float(samples),
            }

        return metrics

    # -- what is known --------------------------------------------------------------------------------

    def _place(self, genotype: Genotype) -> Path:
        return self.folder / f"{seed_of(genotype.to_text()):016x}.json"

    def _keep(self, number: int, genotype: Genotype, metrics: Mapping[str, float]) -> None:
        form = {"trial": number, "genotype": genotype.to_dict(), "metrics": dict(metrics)}
        write_whole(self._place(genotype), json.dumps(form))

    def _known(self, number: int, genotype: Genotype) -> dict[str, float] | None:
        """What was told of the same architecture; that it cost nothing, if that was in another trial."""
        try:
            form = json.loads(self._place(genotype).read_text(encoding="utf-8"))
            metrics: dict[str, float] = form["metrics"]
            if form["genotype"] != genotype.to_dict():
                return None
        except (OSError, ValueError, KeyError, TypeError):  # it is not there, or damaged: it is trained
            return None
        return metrics if form["trial"] == number else {**metrics, "passes": 0.0, "images": 0.0}
