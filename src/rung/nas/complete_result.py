"""What a search over complete networks tried and found: a reading of its study's log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rung.nas.complete_plan import CompletePlan, CompletePrepared
from rung.nas.discrete.configurations import genotype_of, whole
from rung.nas.discrete.pnas import Pnas
from rung.nas.discrete.table import make
from rung.nas.genotype import Genotype
from rung.nas.ledger import Ledger
from rung.nas.planning import Request
from rung.nas.result import Accuracies, Gap, SearchResult
from rung.nas.task import Scores
from rung.study import Study
from rung.study.records import TrialRecord, trials
from rung.trials.states import TrialState

ENDED = (TrialState.COMPLETE, TrialState.FAILED, TrialState.INFEASIBLE)


class Tried(NamedTuple):
    """A network of a search.

    Attributes:
        number: from 1.
        genotype: its cells.
        score: what is made small: its error, and the price of its cost if there is one; of text its
            perplexity; None if it has none.
        error, loss: on held-out pictures after its last epoch, or of held-out words, which have no error;
            loss in nats.
        parameters, multiply_adds: of the network, multiply-adds of a picture's or a word's forward pass.
        passes, images: of its training, images being samples: pictures, or words; 0 of an architecture that
            had been trained before.
        seconds: that its jobs took.
        state: "complete", "failed" or "infeasible"; of one that was not trained to its end another word.
        why: why it has no score.
    """

    number: int
    genotype: Genotype
    score: float | None
    error: float | None
    loss: float | None
    parameters: int
    multiply_adds: int
    passes: int
    images: int
    seconds: float
    state: str
    why: str = ""

    @property
    def scores(self) -> Scores | None:
        """On held-out data, None if it has none."""
        if self.loss is None:
            return None
        return Scores(self.loss, None if self.error is None else 1.0 - self.error)

    def to_dict(self) -> dict[str, Any]:
        """For files."""
        return {**self._asdict(), "genotype": self.genotype.to_dict()}


def tried(plan: CompletePlan, study: Study) -> list[Tried]:
    """All networks of a study, in order."""
    seconds = study.history.seconds
    return [_of(plan, record, seconds[record.number]) for record in trials(study.events())]


def _of(plan: CompletePlan, record: TrialRecord, seconds: float) -> Tried:
    metrics: Mapping[str, Any] = record.observations[-1].metrics if record.observations else {}
    done = told(plan, record.number, record.config, metrics)._replace(
        seconds=seconds, state=str(record.state), why=record.timing.message
    )
    if record.state is TrialState.COMPLETE:  # what befell an earlier job of it is no matter then
        return done._replace(score=record.value, why="")
    return done._replace(score=None, error=None, loss=None)


def told(plan: CompletePlan, trial: int, config: Mapping[str, Any], metrics: Mapping[str, Any]) -> Tried:
    """A network that is trained, from what the log was told of it.

    Args:
        trial: its number.
    """
    return Tried(
        number=trial + 1,
        genotype=genotype_of(plan.space, config),
        score=metrics.get(plan.task.metric),
        error=1.0 - metrics["accuracy"] if "accuracy" in metrics else None,
        loss=metrics.get("loss"),
        parameters=int(metrics.get("parameters", 0)),
        multiply_adds=int(metrics.get("multiply_adds", 0)),
        passes=int(metrics.get("passes", 0)),
        images=int(metrics.get("images", 0)),
        seconds=0.0,
        state=str(TrialState.COMPLETE),
    )


def best_of(plan: CompletePlan, networks: Iterable[Tried]) -> Tried | None:
    """The least score among those whose cells have all nodes of the space, else of all; ties: the earlier."""
    known = [one for one in networks if one.score is not None]
    grown = [one for one in known if whole(plan.space, one.genotype)] or known
    return min(grown, key=lambda one: one.score or 0.0, default=None)


def ledger_of(networks: Sequence[Tried]) -> Ledger:
    """What a search has cost."""
    return Ledger(
        seconds=sum(one.seconds for one in networks),
        weight_passes=sum(one.passes for one in networks),
        images=sum(one.images for one in networks),
        multiply_adds=sum(3.0 * one.images * one.multiply_adds for one in networks),
    )


def notes_of(plan: CompletePlan, networks: Sequence[Tried], reason: str | None) -> list[str]:
    """What a reader should know of a search, in sentences."""
    done = [one for one in networks if one.state in ENDED]
    notes = []
    if len(done) < plan.networks:
        why = {
            "budget": "the rest of the budget is for the best one's last training",
            "interrupted": "interrupted",
            "exhausted": "no further architecture was found within the limit",
        }.get(reason or "", reason or "the search ended")
        notes.append(f"{len(done)} of {plan.networks} networks trained: {why}")
    notes += [*_not_grown(plan, done), *_better_but_smaller(plan, done)]
    again = sum(one.state == TrialState.COMPLETE and not one.passes for one in done)
    if again:
        notes.append(
            f"the strategy came back {again} time{'s' * (again > 1)} to an architecture that it had tried: "
            "its score is known, and it was not trained again"
        )
    failed = [one for one in done if one.score is None]
    if failed:
        notes.append(f"{len(failed)} of {len(done)} networks could not be trained: {failed[0].why}")
    return notes


def _not_grown(plan: CompletePlan, done: Sequence[Tried]) -> list[str]:
    """That cells did not grow to all nodes, where networks were too few for that."""
    strategy = make(plan.strategy, plan.settings)
    most = max(cell.nodes for cell in plan.space.cells)
    sizes = [len(cell.nodes) for one in done if one.score is not None for _, cell in one.genotype.cells]
    if not isinstance(strategy, Pnas) or len(done) < plan.networks or max(sizes, default=most) == most:
        return []
    needed = strategy.needed(most, plan.workers)
    return [f"cells grew to {max(sizes)} of {most} nodes: give --networks {needed} or more for whole ones"]


def _better_but_smaller(plan: CompletePlan, done: Sequence[Tried]) -> list[str]:
    """That a network of cells that had not grown to all nodes is better than the one that is kept."""
    best = best_of(plan, done)
    if best is None or best.score is None:
        return []
    least = min((one for one in done if one.score is not None), key=lambda one: one.score or 0.0)
    if least.score == best.score:
        return []
    nodes = max(len(cell.nodes) for _, cell in least.genotype.cells)
    most = max(cell.nodes for cell in plan.space.cells)
    return [
        f"network {least.number} is better, but its cells have {nodes} of {most} nodes: kept is the best of "
        "those with all"
    ]


def complete_result(  # noqa: PLR0913  # a result, all that it is made of
    prepared: CompletePrepared,
    request: Request,
    best: Tried,
    networks: Sequence[Tried],
    retrained: Scores | None,
    notes: Sequence[str],
    study: str,
    interrupted: bool,
) -> SearchResult:
    """The result of a search.

    Args:
        retrained: of the best network's last training.
    """
    plan = prepared.plan
    size = plan.task.size(best.genotype, plan.recipe)
    found = best.scores
    assert found is not None
    words = found.accuracy is None
    several = {"workers": plan.workers} if plan.workers > 1 else {}
    settings = {
        "recipe": recipe_record(plan),
        "strategy": {"networks": plan.networks, **several, **plan.settings, **_thrift(plan)},
    }
    return SearchResult(
        genotype=best.genotype,
        strategy=plan.strategy,
        space=plan.space.name,
        preset=request.preset,
        cell=request.cell,
        seed=plan.seed,
        data=prepared.data,
        parameters=size[0],
        multiply_adds=size[1],
        cost=ledger_of(networks).to_dict(),
        accuracy=Accuracies(found.accuracy, None, retrained.accuracy if retrained else None),
        relaxation_gap=Gap(),
        perplexity=_perplexities(found, retrained) if words else {},
        settings=settings,
        notes=tuple(notes),
        tried=tuple(one.to_dict() for one in networks),
        study=study,
        interrupted=interrupted,
    )


def recipe_record(plan: CompletePlan) -> dict[str, Any]:
    """Settings of the networks' trainings."""
    return {name: getattr(plan.recipe, name) for name in plan.task.recorded}


def _perplexities(searched: Scores, retrained: Scores | None) -> dict[str, float | None]:
    from rung.nas.recurrent.language import perplexity

    return {
        "searched": perplexity(searched.loss),
        "derived": None,
        "retrained": None if retrained is None else perplexity(retrained.loss),
    }


def _thrift(plan: CompletePlan) -> dict[str, Any]:
    asked = {"price": plan.thrift.price or None, "most": plan.thrift.most}
    given = {name: value for name, value in asked.items() if value is not None}
    return {**given, "resource": plan.thrift.resource} if given else {}
