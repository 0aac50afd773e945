"""Who is stopped, who is copied, what is thawed: schedulers that do not promote from rungs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from scipy.stats import friedmanchisquare

from benchmarks.conformance.lab import Lab
from benchmarks.conformance.rule import Asked, Cannot, Outcome, Rule, expect
from rung.schedulers.asha_stopping import ASHAStopping
from rung.schedulers.base import Explore, Resume, Start
from rung.schedulers.curve import CurveStopping
from rung.schedulers.fabolas import Fabolas
from rung.schedulers.freeze_thaw import FreezeThaw
from rung.schedulers.friedman import friedman, ranks
from rung.schedulers.median import Median
from rung.schedulers.pbt import PBT
from rung.schedulers.percentile import Percentile
from rung.schedulers.race import Racing
from rung.space.compiled import compile_space
from rung.space.domains import Float
from rung.space.draws import Rng
from rung.study.explore import explored
from rung.trials.states import TrialState

STOPPING: Final = "Li et al. 2020, Algorithm 2, in the variant of its first author without pauses"
VALUES: Final = (5.0, 4.0, 6.0, 3.0, 7.0, 3.5, 2.0, 8.0, 2.5)  # at the lowest rung, one after the other
GO_ON: Final = [0, 1, 3, 5, 6, 8]  # those among the best max(1, floor(n / 3)) when they come


def _stopped(values: Sequence[float]) -> list[int]:
    """The trials that go on from the lowest rung."""
    lab = Lab(ASHAStopping())
    for trial, value in enumerate(values):
        assert lab.act() == trial
        lab.report(trial, value)
        lab.obey()
    return [trial for trial in range(len(values)) if trial not in lab.stopped]


def _who(found: Sequence[int], wanted: Sequence[int]) -> Outcome:
    return Outcome(f"trials {list(found)} go on", list(found) == list(wanted))


def _reads(wanted: Sequence[int]) -> Any:
    return lambda answer: _who(answer["on"], wanted)


def _asked(values: Sequence[float], wanted: Sequence[int]) -> tuple[Asked, ...]:
    payload = {"values": list(values)}
    return tuple(Asked(peer, "stopping", _reads(wanted), payload) for peer in ("syne-tune", "optuna"))


# 400 values of which one in fifty, the 25th and so on, is NaN
SPOILT: Final = tuple(
    math.nan if n % 50 == 24 else float(value) for n, value in enumerate(np.random.default_rng(5).random(400))
)


def _spoilt() -> Outcome:
    finite = {n for n, value in enumerate(SPOILT) if not math.isnan(value)}
    worst = [1e9 if math.isnan(value) else value for value in SPOILT]
    both = [set(_stopped(values)) for values in (SPOILT, worst)]
    return _disturbed(len((both[0] ^ both[1]) & finite), len(both[0] - finite))


def _disturbed(differ: int, on: int) -> Outcome:
    text = (
        f"{on} of 8 NaN go on; {differ} of 392 verdicts on finite values differ from those beside bad values"
    )
    return Outcome(text, differ == 0 and on == 0)


def _asked_spoilt() -> tuple[Asked, ...]:
    payload = {"values": [None if math.isnan(value) else value for value in SPOILT]}
    return tuple(
        Asked(peer, "spoilt", lambda answer: _disturbed(answer["differ"], answer["on"]), payload)
        for peer in ("syne-tune", "optuna")
    )


def _skipped() -> Outcome:
    lab = Lab(ASHAStopping())
    trial = lab.act()
    lab.report(trial, 0.5, 10)
    rungs = [resource for resource in (1, 3, 9) if trial in lab.history.results[resource].trials]
    return expect(rungs, [1, 3, 9], f"a report at 10 counts at the rungs {rungs}")


def _read_skipped(answer: Mapping[str, Any]) -> Outcome:
    rungs = sorted(int(rung) for rung in answer["rungs"])
    return Outcome(f"a report at 10 counts at the rungs {rungs}", rungs == [1, 3, 9])


# -- median and percentile ---------------------------------------------------------------------------------

CURVES: Final = tuple([1.0 + 0.1 * n, 0.8 + 0.1 * n, 0.6 + 0.1 * n] for n in range(5))  # they run to the end
NEWCOMER: Final = (0.7, 1.2, 1.2)  # at steps 1, 2, 3: its best is good, its latest value and average are not


def _with(scheduler: Any, newcomer: Sequence[float]) -> int:
    """The step at which a newcomer is stopped after five complete trials; 0: it isn't."""
    lab = Lab(scheduler, resource=(1, 3))
    for trial, curve in enumerate(CURVES):
        assert lab.act() == trial
        for step, value in enumerate(curve, 1):
            lab.report(trial, value, step)
    trial = lab.act()
    for step, value in enumerate(newcomer, 1):
        lab.report(trial, value, step)
        if lab.obey():
            return step
    return 0


def _median(newcomer: Sequence[float], wanted: int) -> Outcome:
    return _at_step(_with(Median(interval=1), newcomer), wanted)


def _at_step(found: int, wanted: int) -> Outcome:
    return Outcome(f"stopped at step {found}" if found else "goes on", found == wanted)


def _asked_rule(rule: str, newcomer: Sequence[float], wanted: int) -> tuple[Asked, ...]:
    peers = ("optuna", "syne-tune") if rule == "median" else ("optuna",)
    payload = {"curves": [list(curve) for curve in CURVES], "newcomer": list(newcomer)}
    return tuple(
        Asked(peer, rule, lambda answer: _at_step(answer["step"], wanted), payload) for peer in peers
    )


BAD: Final = (1.3, 1.25, 1.2)
MIDDLING: Final = (1.05, 0.95, 0.95)


# -- race and curve ----------------------------------------------------------------------------------------


def _friedman() -> Outcome:
    values = np.random.default_rng(0).random((8, 5)) + 0.2 * np.arange(5)
    found, wanted = friedman(ranks(values))[2], friedmanchisquare(*values.T).statistic
    lab = Lab(Racing(candidates=5), resource=(1, 12), trials=5)
    lab.run(lambda trial, resource: 0.1 * trial + 0.01 * ((trial * resource) % 3))
    ended = len([1 for _, until in lab.jobs if until == 12])
    text = (
        f"Friedman's statistic {found:.4f} (SciPy {wanted:.4f}); of 5 candidates {ended} run all 12 repeats"
    )
    return Outcome(text, abs(found - wanted) < 1e-9 and ended < 5)


def _curves() -> Outcome:
    """Eight curves that end at 0.1 ... 0.8; then a flat one at 0.9, and one that falls steeply."""
    lab = Lab(CurveStopping(), resource=(1, 100))
    for trial in range(8):
        assert lab.act() == trial
        while trial in lab.history.running and not lab.obey():
            resource = lab.history.running[trial].next_gate
            lab.report(trial, 0.1 * (trial + 1) + 1.0 / resource)
    fates = []
    for curve in (lambda r: 0.9 + 0.02 / r, lambda r: 1.5 - 0.35 * math.log(r)):
        trial = lab.act()
        while trial in lab.history.running and not lab.obey():
            lab.report(trial, curve(lab.history.running[trial].next_gate))
        fates.append(int(lab.history.reached[trial]))
    text = f"of R = 100, a flat bad curve runs to {fates[0]}, one that falls steeply to {fates[1]}"
    return Outcome(text, fates[0] <= 25 and fates[1] == 100)


# -- pbt, fabolas, freeze-thaw -----------------------------------------------------------------------------


def _truncation() -> Outcome:
    lab = Lab(PBT(population=10, interval=10), resource=(1, 100))
    for trial in [lab.act() for _ in range(10)]:
        lab.report(trial, float(trial))
    copies = {}
    on = []
    for _ in range(10):
        decision = lab.decide()
        if isinstance(decision, Start):
            copies[decision.bracket] = decision.parent
        else:
            assert isinstance(decision, Resume)
            on.append(decision.trial)
        lab.act()
    text = f"members {sorted(copies)} copy one of {sorted({p for p in copies.values() if p is not None})}"
    right = sorted(copies) == [8, 9] and set(copies.values()) <= {0, 1} and len(on) == 8
    return Outcome(text + f", the other {len(on)} train on", right)


def _read_truncation(answer: Mapping[str, Any]) -> Outcome:
    bottom, top = sorted(answer["bottom"]), sorted(answer["top"])
    return Outcome(f"members {bottom} copy one of {top}", bottom == [8, 9] and top == [0, 1])


def _perturbed() -> Outcome:
    space = compile_space({"x": Float(0.0, 10.0)})
    found = {round(explored(space, (1.0,), Explore(resample=0.0), Rng(0, n))[0], 4) for n in range(50)}
    return _factors(sorted(found))


def _factors(found: list[float]) -> Outcome:
    return Outcome(f"times {' or '.join(f'{factor:g}' for factor in found)}", found == [0.8, 1.2])


def _design() -> Outcome:
    lab = Lab(Fabolas(), resource=(1, 81), trials=12)
    lab.run(lambda trial, resource: float(trial % 5) + 1.0 / resource)
    first = [until for _, until in lab.jobs[:6]]
    text = f"the first jobs have the sizes {first} of R = 81"
    return Outcome(text, max(first) < 81)


def _frozen() -> Outcome:
    rule = FreezeThaw(basket=5, old=5)
    lab, most, beyond = Lab(rule, resource=(1, 27), trials=25), 0, 0
    while len(lab.jobs) < 45 and isinstance(lab.decide(), Start | Resume):
        trial = lab.act()
        lab.report(trial, float(trial % 7) + 1.0 / lab.history.running[trial].next_gate)
        paused = [t for t, state in enumerate(lab.history.states) if state is TrialState.PAUSED]
        most = max(most, sum(lab.scheduler.may_resume(lab.history, t) for t in paused))
    beyond = sum(until > 1 for _, until in lab.jobs)
    text = f"a pause after each step; at most {most} of 5 can be thawed, {'some' if beyond else 'none'} are"
    return Outcome(text, 0 < most <= 5 and beyond > 0)


GOLOVIN: Final = "Golovin et al. 2017, section 3.2.1"
NOT_THERE: Final = (
    Cannot("optuna", "has no such method in its core"),
    Cannot("syne-tune", "has no such method"),
)
RULES: Final = (
    Rule(
        "asha-stopping",
        "who goes on",
        "who is among the best max(1, floor(n / eta)) of the n results at a rung, its own included",
        STOPPING,
        lambda: _who(_stopped(VALUES), GO_ON),
        _asked(VALUES, GO_ON),
    ),
    Rule(
        "asha-stopping",
        "ties",
        "top k is k trials: a plateau must not let all go on",
        STOPPING,
        lambda: _who(_stopped([0.5] * 9), [0]),
        _asked([0.5] * 9, [0]),
    ),
    Rule(
        "asha-stopping",
        "NaN",
        "left open; a NaN counts as the worst: it stops, and finite results are judged as beside any bad one",
        STOPPING,
        _spoilt,
        _asked_spoilt(),
    ),
    Rule(
        "asha-stopping",
        "skipped rungs",
        "a trial that reports beyond several rungs has a result at each",
        STOPPING + " (left open)",
        _skipped,
        (Asked("syne-tune", "skipped", _read_skipped), Asked("optuna", "skipped", _read_skipped)),
    ),
    Rule(
        "median",
        "a bad trial",
        "stop at step s if the best value up to s is worse than the median of the others' running averages",
        GOLOVIN,
        lambda: _median(BAD, 1),
        _asked_rule("median", BAD, 1),
    ),
    Rule(
        "median",
        "best, not latest",
        "the trial is judged by its best value up to s, the others by their running averages",
        GOLOVIN,
        lambda: _median(NEWCOMER, 0),
        _asked_rule("median", NEWCOMER, 0),
    ),
    Rule(
        "percentile",
        "best quarter",
        "as the median rule, at another percentile of the values at s: here 25, interpolated",
        GOLOVIN + "; Optuna's PercentilePruner",
        lambda: _at_step(_with(Percentile(25.0, interval=1), MIDDLING), 2),
        _asked_rule("percentile", MIDDLING, 2),
    ),
    Rule(
        "race",
        "F-race",
        "after each block Friedman's test; those worse than the best drop out",
        "Birattari et al. 2002",
        _friedman,
        NOT_THERE,
    ),
    Rule(
        "curve",
        "5 %",
        "a trial stops when its curve beats the incumbent with a probability below 5 %",
        "Domhan et al. 2015, section 4",
        _curves,
        NOT_THERE,
    ),
    Rule(
        "pbt",
        "truncation selection",
        "the bottom 20 % of the population copy one of the top 20 %",
        "Jaderberg et al. 2017, section 4.1.1",
        _truncation,
        (
            Asked("syne-tune", "truncation", _read_truncation),
            Cannot("optuna", "has no such method in its core"),
        ),
    ),
    Rule(
        "pbt",
        "explore",
        "a hyperparameter is perturbed by a factor of 1.2 or 0.8",
        "Jaderberg et al. 2017, section 4.1.1",
        _perturbed,
        (Asked("syne-tune", "explore", lambda answer: _factors(answer["factors"])), NOT_THERE[0]),
        departs="divided by 1.2 instead, so that up and down cancel and values do not drift downwards",
    ),
    Rule(
        "fabolas",
        "initial design",
        "begins with random configurations on small subsets",
        "Klein et al. 2017, Algorithm 1",
        _design,
        NOT_THERE,
    ),
    Rule(
        "freeze-thaw",
        "basket",
        "trials are frozen after each step; a basket of them can be thawed, or a new one started",
        "Swersky et al. 2014, Algorithm 1",
        _frozen,
        NOT_THERE,
    ),
)
