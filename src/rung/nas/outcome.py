"""What a search amounts to: the derived network, its gap, its short training, and what all that costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch

from rung.nas.genotype import Genotype
from rung.nas.hearing import hearing
from rung.nas.loop import Plan, State, derive, judge
from rung.nas.moment import Moment
from rung.nas.planning import Prepared, Request
from rung.nas.result import Accuracies, SearchResult
from rung.nas.strategies.base import Lengthening
from rung.nas.task import SHORT, Scores, Short

_SHOWN: Final = 6  # of what a search had not decided


def outcome(
    prepared: Prepared,
    state: State,
    request: Request,
    study: str,
    short: Callable[[], Short] = lambda: SHORT,
    more: Callable[[], bool] = lambda: True,
    phase: Callable[[str], None] = lambda _: None,
) -> SearchResult:
    """The result of a search's state. Ctrl-C ends the trying, and leaves the training out.

    Args:
        request: what was asked; its `retrain` says whether the derived network is trained for a short time.
        study: the name of the search's study.
        short: how that training runs; called when it begins.
        more: whether there is time to try another architecture, for a strategy that derives by trying.
        phase: told, in a few words, what begins.
    """
    from rung.nas.gap import measured

    plan, notes = prepared.plan, list(prepared.notes)
    torch.manual_seed(Moment(plan.seed, state.epoch, plan.recipe.epochs).number("outcome"))  # resumed or not
    with hearing(more) as heard:
        with heard.cutting(state.net):
            genotype = derive(plan, state, heard, notes.append, lambda text: phase(f"deriving: {text}"))
        if heard.interrupted:
            phase("interrupted: judging what is derived")
        searched = judge(plan, state) if state.alphas else _judged_alone(plan, state, genotype)
        derived, gap = measured(plan, state, genotype)
    if heard.interrupted:
        notes.append("interrupted while the cell was derived")
    retrained: Scores | None = None
    if request.retrain and not heard.interrupted:
        retrained, said = plan.task.retrain(genotype, plan.recipe, plan.seed, short())
        notes += said
    parameters, multiply_adds = plan.task.size(genotype, plan.recipe)
    words = searched.accuracy is None
    return SearchResult(
        genotype=genotype,
        strategy=plan.strategy.name,
        space=plan.space.name,
        preset=request.preset,
        cell=request.cell,
        seed=plan.seed,
        data=prepared.data,
        parameters=parameters,
        multiply_adds=multiply_adds,
        cost=state.ledger.to_dict(),
        accuracy=Accuracies(searched.accuracy, derived.accuracy, retrained.accuracy if retrained else None),
        relaxation_gap=gap,
        perplexity=_perplexities(searched, derived, retrained) if words else {},
        settings=_settings(prepared),
        notes=tuple(notes),
        records=tuple(record.to_dict() for record in state.records),
        study=study,
        interrupted=heard.interrupted,
    )


def _judged_alone(plan: Plan, state: State, genotype: Genotype) -> Scores:
    """The supernet as the one architecture that was chosen, where no alphas weigh the others beside it."""
    from rung.nas.choice import choice_of, one_hot

    mixed = one_hot(plan.space, choice_of(plan.space, genotype))
    return plan.task.evaluate(state.net, mixed)


def _perplexities(searched: Scores, derived: Scores, retrained: Scores | None) -> dict[str, float | None]:
    from rung.nas.recurrent.language import perplexity

    return {
        "searched": perplexity(searched.loss),
        "derived": perplexity(derived.loss),
        "retrained": None if retrained is None else perplexity(retrained.loss),
    }


def _settings(prepared: Prepared) -> dict[str, Any]:
    """Of recipe, strategy and candidates, as plain values, the same after they were in a file."""
    import json
    from dataclasses import asdict

    from rung.nas.strategies.table import settings_of

    plan = prepared.plan
    recipe = {k: v for k, v in asdict(plan.recipe).items() if k not in ("strategy", "text", "own")}
    candidates = {cell.name: cell.operations for cell in plan.space.cells}
    whole = {"recipe": recipe, "strategy": settings_of(plan.strategy), "candidates": candidates}
    plain: dict[str, Any] = json.loads(json.dumps(whole))
    return plain


def open_points(plan: Plan, state: State) -> list[str]:
    """What a pruning strategy had not decided after the last planned epoch, in a sentence, if anything."""
    if not isinstance(plan.strategy, Lengthening):
        return []
    lines = plan.strategy.undecided(plan.space, state.net.alive)
    if not lines:
        return []
    rest = f", and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return [
        f"undecided after {plan.recipe.epochs} epoch{'s' * (plan.recipe.epochs != 1)}, and annealed to the "
        f"end in further ones: {'; '.join(lines[:_SHOWN])}{rest}"
    ]
