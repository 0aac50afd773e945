"""Multi-objective ASHA: against the paper's rule with naive fronts and epsilon-net; and what it finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

import rung
from rung.schedulers import make_scheduler
from rung.schedulers.fronts import epsilon_net, fronts, scaled
from rung.schedulers.mo_asha import LATEST, MOASHA, FrontRung
from rung.trials.events import Identity, Limits
from rung.trials.history import Result
from rung.trials.running import Measure
from support.driver import Driver, identity, metrics_of
from support.oracles import PaperASHA

choices = st.lists(st.integers(0, 10**6), max_size=120)
vectors = st.integers(1, 3).flatmap(
    lambda m: st.lists(st.tuples(*[st.integers(0, 5).map(float)] * m), min_size=1, max_size=25)
)


def dominates(one, other) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def naive_fronts(points: dict[int, tuple]) -> list[list[int]]:
    found = []
    while points:
        front = [k for k in points if not any(dominates(other, points[k]) for other in points.values())]
        found.append(front)
        points = {k: vector for k, vector in points.items() if k not in front}
    return found


def naive_net(points: dict[int, tuple]) -> list[int]:
    """Farthest first, from the least first objective; of equal ones the older."""
    order = [min(points, key=lambda k: (points[k][0], k))]
    while len(order) < len(points):
        gaps = {
            k: min(sum((a - b) ** 2 for a, b in zip(points[k], points[c], strict=True)) for c in order)
            for k in points
            if k not in order
        }
        order.append(max(gaps, key=lambda k: (round(gaps[k], 12), -k)))
    return order


def in_unit_range(points: dict[int, tuple]) -> dict[int, tuple]:
    columns = list(zip(*points.values(), strict=True))
    low, width = [min(c) for c in columns], [(max(c) - min(c)) or 1.0 for c in columns]
    return {k: tuple((x - a) / w for x, a, w in zip(p, low, width, strict=True)) for k, p in points.items()}


def naive_order(points: dict[int, tuple], broken: dict[int, float]) -> list[int]:
    order: list[int] = []
    even = in_unit_range(points) if points else {}
    for front in naive_fronts(points):
        order += naive_net({k: even[k] for k in front})
    return order + sorted(broken, key=lambda k: (broken[k], k))


class PaperMOASHA(PaperASHA):
    """Algorithm 2 of ASHA in one bracket, whose order is that of the objectives."""

    def __init__(self, rungs: list[int], who: Identity) -> None:
        super().__init__([rungs], [1], who.eta)
        self.who = who

    def promotable(self, bracket: int, rung: int) -> int | None:
        results = self.results[bracket][rung]
        points, broken = {}, {}
        for trial, value in results.items():
            if value < math.inf:
                metrics = metrics_of(self.who, trial, self.ladders[0][rung], value)
                vector = [metrics[g.metric] * (-1 if g.mode == "max" else 1) for g in self.who.goals]
                excess = max(0.0, metrics.get("memory", 0.0) - 4.0) / 4.0
                if excess:
                    broken[trial] = excess
                else:
                    points[trial] = tuple(vector)
        top = naive_order(points, broken)[: len(results) // self.eta]
        wanted = [trial for trial in top if trial not in self.promoted[bracket][rung]]
        return wanted[0] if wanted else None


@given(vectors)
def test_fronts_and_nets_are_the_naive_ones(rows):
    array = np.array(rows)
    points = dict(enumerate(rows))
    assert [front.tolist() for front in fronts(array)] == naive_fronts(points)
    even = scaled(array)
    assert even == pytest.approx(np.array(list(in_unit_range(points).values())))
    assert list(epsilon_net(array)) == naive_net(points)  # whole numbers: ties are ties


@pytest.mark.parametrize(("goals", "bounded"), [(2, False), (3, False), (2, True)])
@given(
    ladder=st.sampled_from([(1, 9, 3), (1, 27, 3), (2, 16, 2)]),
    n=st.integers(1, 40),
    slots=st.integers(1, 6),
    numbers=choices,
)
@settings(max_examples=40, deadline=None)
def test_it_decides_as_the_paper(goals, bounded, ladder, n, slots, numbers):
    who = identity(*ladder, goals=goals, bounded=bounded)
    rungs = [ladder[0] * ladder[2] ** k for k in range(9) if ladder[0] * ladder[2] ** k <= ladder[1]]
    driver = Driver(
        MOASHA(),
        who,
        Limits(trials=n, retries=1),
        workers=slots,
        choices=numbers,
        oracle=PaperMOASHA(rungs, who),
    )
    driver.run()
    assert len(driver.history) == n


@pytest.mark.parametrize("bounded", [False, True])
@given(n=st.integers(1, 40), slots=st.integers(1, 6), numbers=choices)
@settings(max_examples=40, deadline=None)
def test_with_one_objective_it_is_asha(bounded, n, slots, numbers):
    who = identity(1, 27, 3, bounded=bounded)
    logs = [
        Driver(make_scheduler(name), who, Limits(trials=n), workers=slots, choices=numbers).run().log
        for name in ("asha", "mo-asha")
    ]
    assert logs[0] == logs[1]


def result(trial: int, *vector: float, violation: float = 0.0) -> Result:
    return Result(trial, 1, vector[0], 0, True, Measure(vector, violation))


def promoted(rung: FrontRung) -> list[int]:
    found = []
    while rung.candidate >= 0:
        found.append(rung.candidate)
        rung.promote(rung.candidate)
    return found


def test_the_front_is_promoted_from_its_ends_inward_and_what_breaks_a_bound_last():
    rung = FrontRung(1, above=3)  # eta 1: all are promoted, in order
    for trial, vector in enumerate([(0.5, 0.5), (1.0, 0.0), (0.0, 1.0), (0.9, 0.2), (2.0, 2.0)]):
        rung.add(result(trial, *vector))
    rung.add(result(5, -9.0, -9.0, violation=0.5))
    rung.add(result(6, -9.0, -9.0, violation=0.1))
    rung.add(Result(7, 1, math.inf, 0, True, Measure((math.inf,) * 2, math.inf)))
    assert promoted(rung) == [2, 1, 0, 3, 4, 6, 5]


def test_units_do_not_matter():
    orders = []
    for unit in (1.0, 1e6, 1e300):
        rung = FrontRung(1, above=3)
        for trial, (a, b) in enumerate([(0.5, 0.4), (1.0, 0.0), (0.0, 1.0), (0.8, 0.1), (0.2, 0.9)]):
            rung.add(result(trial, a * unit, b))
        orders.append(promoted(rung))
    assert orders[0] == orders[1] == orders[2]


def test_after_many_results_the_latest_are_sorted():
    rung = FrontRung(4, above=3)
    for trial in range(2 * LATEST):  # each worse than all before it
        rung.add(result(trial, float(trial), float(trial)))
        while rung.candidate >= 0:
            rung.promote(rung.candidate)
    assert len(rung._latest) == LATEST
    assert len(rung._promoted) <= LATEST
    rung.add(result(9999, -1.0, -1.0))
    assert rung.candidate == 9999


def hypervolume(points: list[tuple[float, float]]) -> float:
    """Of two objectives that are minimised, against (1.5, 1.5)."""
    area, bound = 0.0, 1.5
    for x, y in sorted(points):
        if x < 1.5 and y < bound:
            area += (1.5 - x) * (bound - y)
            bound = y
    return area


def front_of(scheduler: str, seed: int) -> tuple[float, int]:
    """Hypervolume of what ran to the end, and the resource spent; both objectives fall with the epochs."""

    def curve(config, resource):
        x, y = config["x"], config["y"]
        rest = 1.0 / resource
        return {"error": x + y + rest, "latency": 1.0 - math.sqrt(x) + y + rest}

    space = {"x": rung.Float(0, 1), "y": rung.Float(0, 1)}
    found = rung.tune(
        curve,
        space,
        metric=["error", "latency"],
        resource=("epoch", 1, 27),
        sampler="random",
        scheduler=scheduler,
        trials=100,
        seed=seed,
    )
    done = [trial for trial in found.trials if trial.resource == 27]
    points = [(t.config["x"] + t.config["y"], 1 - math.sqrt(t.config["x"]) + t.config["y"]) for t in done]
    return hypervolume(points), sum(trial.resource for trial in found.trials)


def test_it_finds_a_wider_front_than_asha_on_the_first_objective():
    """Wilcoxon's signed ranks of the hypervolume over 10 seeds, at about the same resource."""
    runs = [(front_of("asha", seed), front_of("mo-asha", seed)) for seed in range(10)]
    assert wilcoxon([mo - one for (one, _), (mo, _) in runs], alternative="greater").pvalue < 0.01
    assert sum(mo for _, (_, mo) in runs) < 1.5 * sum(one for (_, one), _ in runs)
