"""Promotions: `asha`, `pasha`, `hyper-tune`, `mo-asha`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from benchmarks.conformance.lab import Lab
from benchmarks.conformance.rule import Asked, Cannot, Outcome, Rule, expect, listed
from rung.schedulers.asha import ASHA
from rung.schedulers.base import Resume
from rung.schedulers.hyper_tune import HyperTune
from rung.schedulers.mo_asha import MOASHA
from rung.schedulers.pasha import PASHA
from rung.trials.events import Goal

ASHA_PAPER: Final = "Li et al. 2020, Algorithm 2"
STOPS: Final = (
    Cannot("syne-tune", "0.16 has no promotion: it stops, see asha-stopping"),
    Cannot("optuna", "has no promotion: a pruned trial never resumes"),
)


def _promotion() -> Outcome:
    """200 jobs; at each decision the rungs are sorted anew, and the paper's candidates looked for."""
    lab, wrong = Lab(ASHA()), 0
    for _ in range(200):
        decision = lab.decide()
        found = (decision.trial, decision.until) if isinstance(decision, Resume) else None
        wrong += found != _promotable(lab)
        trial = lab.act()
        lab.report(trial, float((trial * 2654435761) % 1009))
    text = f"200 jobs: {listed(lab.counts())} at the rungs, {200 - wrong} of 200 decisions as the rule's"
    return Outcome(text, wrong == 0)


def _promotable(lab: Lab) -> tuple[int, int] | None:
    """Algorithm 2, get_job(), slowly: the trial to promote and where to."""
    for resource in (27, 9, 3, 1):
        column = lab.history.results.get(resource)
        if column is not None:
            ranked = sorted(zip(column.values, column.trials, strict=True))
            for _, trial in ranked[: len(ranked) // 3]:
                if (trial, 3 * resource) not in lab.jobs:
                    return trial, 3 * resource
    return None


def _exactly() -> Outcome:
    """With values that only get worse nobody is overtaken, so that exactly floor(n / eta) are promoted."""
    lab = Lab(ASHA(), resource=(1, 3))
    promoted = []
    for n in range(1, 14):
        trial = lab.act()
        while lab.jobs[-1][1] == 3:
            promoted.append(trial)
            lab.report(trial, 0.0)
            trial = lab.act()
        lab.report(trial, float(n))
    return expect(promoted, [0, 1, 2, 3], f"after 13 results that get worse, {promoted} were promoted")


def _ties() -> Outcome:
    lab = Lab(ASHA()).starts([0.5] * 9)
    promoted = lab.promoted()
    return expect(promoted, [0, 1, 2], f"of 9 equal results the 3 oldest trials {promoted} are promoted")


def _nan() -> Outcome:
    lab = Lab(ASHA()).starts([3.0, math.nan, 1.0, 2.0, math.inf, math.nan])
    several = lab.promoted()
    none = Lab(ASHA()).starts([math.nan] * 9).promoted()
    text = (
        f"NaN counts in n as the worst: of 6 results (3 NaN or inf) trials {several} go on; of 9 NaN {none}"
    )
    return Outcome(text, several == [2, 3] and none == [])


def _crash() -> Outcome:
    before = Lab(ASHA()).starts([1.0, None, 2.0]).promoted()
    lab = Lab(ASHA()).starts([1.0, 2.0, 3.0])
    trial = lab.act()
    lab.crash(trial)
    after = lab.promoted()
    text = f"crash before promotion: counts in n, {before} goes on; after it: its slot goes to {after}"
    return Outcome(text, before == [0] and trial == 0 and after == [])


def _top_first() -> Outcome:
    lab = Lab(ASHA()).starts([float(n) for n in range(9)])
    for trial in lab.promoted():
        lab.report(trial, float(trial))
    lab.starts_again([9.0, 10.0, 11.0])
    decision = lab.decide()
    until = getattr(decision, "until", None)
    return expect(until, 9, f"with candidates at rungs 1 and 3, the one at 3 goes first (to {until})")


def _stable() -> Outcome:
    """Rankings that never change, and rankings that do at each rung."""
    same = Lab(PASHA(0.0), trials=60).run(lambda trial, resource: trial * 37 % 60 + 1.0 / resource)
    mixed = Lab(PASHA(0.0), trials=60).run(
        lambda trial, resource: float((trial * 37 + resource * 17 * (trial % 7)) % 61)
    )
    tops = [max(until for _, until in lab.jobs) for lab in (same, mixed)]
    text = f"stable rankings: the ladder ends at {tops[0]}; unstable ones: at {tops[1]} (R = 81)"
    return Outcome(text, tops[0] == 3 < tops[1])


def _brackets() -> Outcome:
    """Where cheap results rank as the dear ones do, all starts go to the lowest bracket; else to others."""
    shares = []
    for kind in ("alike", "at random"):
        lab = Lab(HyperTune(), trials=400)
        noise = np.random.default_rng(0).random((400, 82))

        def value(trial: int, resource: int, kind: str = kind, noise: Any = noise) -> float:
            return float(noise[trial, 81] if kind == "alike" or resource >= 27 else noise[trial, resource])

        lab.run(value, jobs=700)
        late = lab.history.brackets[-100:]
        shares.append(late.count(0) / len(late))
    text = (
        f"of 100 late starts {shares[0]:.0%} in bracket 0 where rungs rank alike, {shares[1]:.0%} where not"
    )
    return Outcome(text, shares[0] > 0.6 > 0.3 > shares[1])


def _delayed() -> Outcome:
    """Each result better than all before: plain ASHA promotes nearly all of them."""
    found = []
    for scheduler in (ASHA(), HyperTune(brackets=1)):
        lab = Lab(scheduler, resource=(1, 3)).run(lambda trial, resource: -float(trial), jobs=120)
        counts = lab.counts()
        found.append(counts[1] / counts[0])
    text = f"results that only get better: {found[1]:.2f} of a rung promoted (asha: {found[0]:.2f})"
    return Outcome(text, found[1] <= 1 / 3 < found[0])


GOALS: Final = (Goal("loss"), Goal("size"))
VECTORS: Final = ((1, 5), (2, 3), (5, 1), (2, 6), (4, 4), (6, 2), (7, 7), (8, 8), (3, 5))


def _fronts() -> Outcome:
    lab = Lab(MOASHA(), resource=(1, 9), more={"goals": GOALS})
    for trial in [lab.act() for _ in VECTORS]:
        lab.vector(trial, {"loss": VECTORS[trial][0], "size": VECTORS[trial][1]})
    promoted = lab.promoted()
    text = f"of 9 results, promoted are {promoted}: the front, its ends first"
    return Outcome(text, promoted == [0, 2, 1])


def _read_fronts(answer: Mapping[str, Any]) -> Outcome:
    front = answer["first"]
    text = f"its priorities put {front} first (it stops, and does not resume)"
    return Outcome(text, sorted(front) == [0, 1, 2])


RULES: Final = (
    Rule(
        "asha",
        "who is promoted",
        "top floor(n / eta) of all n results of a rung, at the moment a worker is free",
        ASHA_PAPER,
        _promotion,
        STOPS,
    ),
    Rule(
        "asha",
        "exactly floor(n / eta)",
        "if no later result is better, exactly floor(n / eta) are promoted",
        ASHA_PAPER,
        _exactly,
    ),
    Rule(
        "asha",
        "highest rung first",
        "rungs are looked at from the top down",
        ASHA_PAPER,
        _top_first,
    ),
    Rule("asha", "ties", "top k is k trials, equal ones too (which is left open)", ASHA_PAPER, _ties),
    Rule(
        "asha",
        "NaN and infinite results",
        "left open; must not be promoted, nor disturb the ranking of the others",
        ASHA_PAPER,
        _nan,
    ),
    Rule(
        "asha",
        "crashes",
        "left open: a crashed trial counts as the worst where its result was due; its slot is not handed on",
        ASHA_PAPER,
        _crash,
    ),
    Rule(
        "pasha",
        "when the ladder grows",
        "the ladder has two rungs, and one more each time the two highest rank differently",
        "Bohdal et al. 2023, Algorithm 1",
        _stable,
        (Cannot("syne-tune", "PASHA was removed before 0.16"),),
    ),
    Rule(
        "hyper-tune",
        "bracket selection",
        "brackets are weighted by how well their lowest rung ranks as the highest, over its cost",
        "Li et al. 2022, bracket selection",
        _brackets,
        (Cannot("syne-tune", "Hyper-Tune was removed before 0.16"),),
    ),
    Rule(
        "hyper-tune",
        "delayed promotion",
        "a rung of n results has promoted at most n / eta (D-ASHA)",
        "Li et al. 2022, D-ASHA",
        _delayed,
        (Cannot("syne-tune", "Hyper-Tune was removed before 0.16"),),
    ),
    Rule(
        "mo-asha",
        "order of promotion",
        "non-dominated results first; within a front an epsilon-net, so that they lie far apart",
        "Schmucker et al. 2021, epsilon-net sorting",
        _fronts,
        (
            Asked("syne-tune", "fronts", _read_fronts, {"vectors": [list(v) for v in VECTORS]}),
            Cannot("optuna", "refuses to prune with several objectives, see study"),
        ),
    ),
)
