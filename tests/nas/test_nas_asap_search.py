"""Whole ASAP searches: what stays, what they cost, and that nothing is left between search and result."""

from __future__ import annotations

from functools import cache, cached_property
from itertools import pairwise

import numpy as np
import pytest
import torch

from nas.nas_support import SMALL, TinyTask
from rung.nas.costs import Costs, supernet_costs
from rung.nas.gap import measured, training_gap
from rung.nas.loop import Plan, State, derive, one_epoch, run, start
from rung.nas.moment import Moment
from rung.nas.recipe import Recipe
from rung.nas.space import SPACES, Cell, Space
from rung.nas.strategies.asap import Asap
from rung.nas.task import Net
from rung.nas.training import forget

EPOCHS = 4
NO_ZERO = Space(
    "no zero",
    tuple(
        Cell(name, 2, ("skip_connect", "sep_conv_3x3"), reduction=name == "reduce")
        for name in ("normal", "reduce")
    ),
)
SPACE = {"small": SMALL, "no zero": NO_ZERO, "nasbench201": SPACES["nasbench201"]}
RECIPE = Recipe(epochs=EPOCHS, alpha_rate=0.1, rate=0.05)


class Task(TinyTask):
    """Its costs are reckoned once a space."""

    @cached_property
    def _costs(self) -> dict[str, Costs]:
        return {}

    def macs(self, net: Net, space: Space, form: str = "plain") -> float:
        if space.name not in self._costs:
            self._costs[space.name] = supernet_costs(
                space, self.channels, self.layers, self.classes, image_size=8
            )
        return self._costs[space.name].of(net.alive)


def plan_of(space: Space = SMALL, form: str = "plain", dtype: torch.dtype = torch.float32) -> Plan:
    task = Task(channels=4, layers=3, count=32, dtype=dtype)
    return Plan(task, space, Asap(form=form, checks=1).scaled(EPOCHS), RECIPE, 0)


@cache
def searched(form: str = "plain", space: str = "small") -> tuple[Plan, State, list[dict[str, np.ndarray]]]:
    """A search, and what was alive after each of its epochs."""
    plan = plan_of(SPACE[space], form)
    state, seen = start(plan), []

    def watch(state: State, record: object) -> bool:
        seen.append({name: mask.copy() for name, mask in state.net.alive.items()})
        return True

    return plan, run(plan, state, watch), seen


def test_ends_with_two_inputs_a_node_and_one_operation_an_edge() -> None:
    plan, state, seen = searched()
    for cell in SMALL.cells:
        alive = state.net.alive[cell.name]
        assert (alive.sum(1) <= 1).all()
        assert not alive[:, 0].any()  # zero is nobody's input
        for target in cell.targets:
            assert alive[list(cell.entering(target))].sum() == 2
    genotype = derive(plan, state)
    assert [len(edges) for name in ("normal", "reduce") for edges in genotype[name].nodes] == [2] * 4
    assert plan.strategy.finished(SMALL, state.net.alive, Moment(0, state.epoch, EPOCHS))
    assert len(seen) <= EPOCHS + plan.strategy.extra  # type: ignore[attr-defined]


def test_all_edges_stay_where_all_are_kept() -> None:
    plan, state, _ = searched("plain", "nasbench201")
    assert (state.net.alive["normal"].sum(1) == 1).all()
    assert [len(edges) for edges in derive(plan, state)["normal"].nodes] == [1, 2, 3]


def test_what_is_gone_does_not_come_back() -> None:
    _, state, seen = searched()
    for before, after in pairwise(seen):
        for name in before:
            assert not (after[name] & ~before[name]).any()
    gone = [tuple(removal) for record in state.records for removal in record.removed]
    assert len(gone) == len(set(gone))
    assert sum(mask.sum() for mask in seen[0].values()) - sum(m.sum() for m in seen[-1].values()) == len(gone)


def test_alphas_rest_in_the_grace_period() -> None:
    plan = plan_of()
    state = start(plan)
    for _ in range(2):  # T is 1.6, then 0.692
        one_epoch(plan, state)
        if state.epoch == 1:
            assert all(not value.any() for value in state.alphas.values())
            assert state.ledger.alpha_passes == 0
            assert not state.records[0].removed
    assert any(value.any() for value in state.alphas.values())
    assert state.ledger.alpha_passes == plan.task.steps


def test_cost_falls_with_what_is_left() -> None:
    """Multiply-adds of the ledger are those of what was alive, and fall to the derived cell."""
    plan, state, seen = searched()
    costs = []
    for mask in seen:
        alive = type("Alive", (), {"alive": mask})
        costs.append(plan.task.macs(alive, SMALL))  # type: ignore[arg-type]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.65 * costs[0]
    spent, before = [], 0.0
    for record in state.records:
        spent.append(record.ledger["multiply_adds"] - before)
        before = record.ledger["multiply_adds"]
    images = plan.task.steps * plan.task.batch  # type: ignore[attr-defined]
    passes = [1 if e == 0 else 2 for e in range(len(seen))]
    decided = [all((m.sum(1) <= 1).all() for m in mask.values()) for mask in seen]
    passes[-1] = 1  # everything was decided before it: the weights alone
    assert decided[-1]
    expected = [3.0 * images * n * cost for n, cost in zip(passes, costs, strict=True)]
    assert spent == pytest.approx(expected)


@pytest.mark.parametrize("form", ["plain", "fused"])
def test_momentum_of_what_is_gone_is_gone(form: str) -> None:
    plan, state, _ = searched(form)
    parameters = list(state.net.parameters())
    held = state.weights.param_groups[0]["params"]
    assert {id(p) for p in held} == {id(p) for p in parameters}
    assert {id(p) for p in state.weights.state} <= {id(p) for p in parameters}
    for parameter, own in state.weights.state.items():
        buffer = own.get("momentum_buffer")
        assert buffer is None or buffer.shape == parameter.shape
    fresh = sum(p.numel() for p in start(plan).net.parameters())
    assert sum(p.numel() for p in parameters) < fresh


@pytest.mark.parametrize("form", ["plain", "fused"])
def test_momentum_of_what_stays_is_kept(form: str) -> None:
    """A step after a removal is the step that a search with what stays alone would have done."""
    plan = plan_of(form=form)
    state = start(plan)
    one_epoch(plan, state)
    stem = next(p for name, p in state.net.named_parameters() if name.startswith("stem"))
    before = state.weights.state[stem]["momentum_buffer"].clone()
    state.net.prune("normal", 0, 2)
    forget(state.weights, state.net)
    assert torch.equal(state.weights.state[stem]["momentum_buffer"], before)
    kept = sum(p.numel() for p in state.weights.state)
    assert kept == sum(p.numel() for p in state.net.parameters())


def test_a_search_is_a_function_of_its_seed() -> None:
    plan, state, _ = searched("fused")
    again = run(plan, start(plan), lambda state, record: True)
    assert all(torch.equal(a, b) for a, b in zip(state.net.parameters(), again.net.parameters(), strict=True))
    assert derive(plan, state) == derive(plan, again)


@pytest.mark.parametrize(
    ("form", "space"),
    [("plain", "small"), ("fused", "small"), ("plain", "nasbench201"), ("fused", "no zero")],
)
def test_no_gap(form: str, space: str) -> None:
    """Each weight by its name in the derived network: the same outputs in training and in evaluation."""
    plan, state, _ = searched(form, space)
    genotype = derive(plan, state)
    scores, gap = measured(plan, state, genotype)
    assert gap.outputs is not None
    assert gap.outputs < 1e-4
    assert gap.accuracy == 0.0
    assert scores.accuracy == state.records[-1].accuracy
    assert training_gap(plan, state, genotype) < 1e-4


@pytest.mark.parametrize("form", ["plain", "fused"])
def test_no_gap_in_double_precision(form: str) -> None:
    plan = plan_of(form=form, dtype=torch.float64)
    state = run(plan, start(plan), lambda state, record: True)
    genotype = derive(plan, state)
    gap = measured(plan, state, genotype)[1]
    assert gap.outputs is not None
    assert gap.outputs < 1e-10
    assert training_gap(plan, state, genotype) < 1e-10


def test_interrupted_searches_go_on_to_the_end() -> None:
    """A state at any epoch, extra ones too, runs on; one that is decided does not."""
    plan, state, seen = searched()
    part = start(plan)
    run(plan, part, lambda state, record: record.epoch < EPOCHS)
    assert part.epoch == EPOCHS
    assert plan.strategy.undecided(SMALL, part.net.alive)  # type: ignore[attr-defined]
    run(plan, part, lambda state, record: True)
    assert part.epoch == state.epoch == len(seen) > EPOCHS
    assert derive(plan, part) == derive(plan, state)
    run(plan, part, lambda state, record: True)
    assert part.epoch == state.epoch


def test_learning_rate_stays_low_in_extra_epochs() -> None:
    _, state, seen = searched()
    assert len(seen) > EPOCHS + 1
    assert state.weights.param_groups[0]["lr"] == pytest.approx(RECIPE.rate_min)
