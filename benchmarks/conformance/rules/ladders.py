"""Rungs, and the sizes of brackets: `plain`, `sha`, `hyperband`, `async-hyperband`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.conformance.lab import Lab
from benchmarks.conformance.rule import Asked, Outcome, Rule, expect, listed
from rung.schedulers.async_hyperband import AsyncHyperband
from rung.schedulers.hyperband import Hyperband, table
from rung.schedulers.ladder import ladder
from rung.schedulers.plain import Plain
from rung.schedulers.sha import SuccessiveHalving

HYPERBAND: Final = "Li et al. 2018, Algorithm 1"
LADDERS: Final = tuple((eta, power) for eta in range(2, 11) for power in range(1, 13))
SIZES: Final = {81: [81, 34, 15, 8, 5], 243: [243, 98, 41, 18, 9, 6]}


def _rungs() -> Outcome:
    found = [[eta, power, len(ladder(1, eta**power, eta))] for eta, power in LADDERS]
    return _counted(found)


def _counted(found: Sequence[Sequence[int]]) -> Outcome:
    """What came of (eta, power, number of rungs) for each R / r = eta^power."""
    lost = [(eta, power) for eta, power, rungs in found if rungs < power + 1]
    more = [(eta, power) for eta, power, rungs in found if rungs > power + 1]
    three = next(rungs for eta, power, rungs in found if (eta, power) == (3, 5))
    text = f"{three} for 3^5; of {len(found)} ladders {len(lost)} lose a rung"
    if lost:
        text += " (" + ", ".join(f"{eta}^{power}" for eta, power in lost[:4]) + (" ...)" if lost[4:] else ")")
    if more:
        text += f", {len(more)} have one too many"
    return Outcome(text, not lost and not more)


def _asked_rungs() -> tuple[Asked, ...]:
    payload = {"ladders": [list(pair) for pair in LADDERS]}
    return tuple(
        Asked(peer, "rungs", lambda answer: _counted(answer["found"]), payload)
        for peer in ("hpbandster", "smac", "dehb", "syne-tune", "optuna")
    )


def _sizes(largest: int) -> Outcome:
    found = [plan.trials[0] for plan in table(ladder(1, largest, 3), 3)]
    lab = Lab(Hyperband(), resource=(1, largest), trials=sum(SIZES[largest]))
    lab.run(lambda trial, resource: float(trial * 7 % 11))
    begun = Counter(lab.history.brackets)
    assert [begun[bracket] for bracket in sorted(begun)] == found
    return expect(found, SIZES[largest], f"{listed(found)}, as started in a run")


def _read_sizes(largest: int) -> Any:
    def read(answer: Mapping[str, Any]) -> Outcome:
        sizes = [int(size) for size in answer["sizes"]]
        return Outcome(f"{listed(sizes)}{answer.get('note', '')}", sizes == SIZES[largest])

    return read


def _asked_sizes(largest: int) -> tuple[Asked, ...]:
    payload = {"largest": largest}
    return tuple(
        Asked(peer, "bracket_sizes", _read_sizes(largest), payload)
        for peer in ("hpbandster", "smac", "dehb", "optuna")
    )


def _counts() -> Outcome:
    lab = Lab(SuccessiveHalving(), trials=81).run(lambda trial, resource: float(trial * 37 % 81))
    return expect(lab.counts(), [81, 27, 9, 3, 1], listed(lab.counts()))


def _read_counts(answer: Mapping[str, Any]) -> Outcome:
    return Outcome(listed(answer["counts"]), [int(n) for n in answer["counts"]] == [81, 27, 9, 3, 1])


def _failures() -> Outcome:
    """Nine trials, of which seven crash: three would go on."""
    lab = Lab(SuccessiveHalving(), resource=(1, 9), trials=9)
    lab.starts([None, 0.5, None, None, None, 0.2, None, None, None])
    promoted = lab.promoted()
    text = f"of 9 of which 7 crash, {len(promoted)} go on (3 are planned), nothing else starts there"
    return Outcome(text, promoted == [5, 1])


def _read_failures(answer: Mapping[str, Any]) -> Outcome:
    text = f"{answer['sound']} sound, {answer['crashed']} crashed, {answer['new']} new ones at the next rung"
    return Outcome(text, answer["sound"] == 2 and not answer["new"] and not answer["crashed"])


def _shares() -> Outcome:
    lab = Lab(AsyncHyperband(), trials=143)
    lab.run(lambda trial, resource: float(trial * 37 % 143))
    begun = Counter(lab.history.brackets)
    found = [begun[bracket] for bracket in sorted(begun)]
    return expect(found, SIZES[81], f"of 143 configurations {listed(found)}, by counts")


def _read_shares(answer: Mapping[str, Any]) -> Outcome:
    found = [int(n) for n in answer["counts"]]
    return Outcome(f"of 143 configurations {listed(found)}, at random", found == SIZES[81])


def _straight() -> Outcome:
    lab = Lab(Plain(), trials=5).run(lambda trial, resource: 0.0)
    return expect(lab.jobs, [(trial, 81) for trial in range(5)], "one job each, to R = 81")


RULES: Final = (
    Rule(
        "plain",
        "straight to R",
        "every configuration runs to the largest resource in one go",
        "Bergstra & Bengio 2012",
        _straight,
    ),
    Rule(
        "hyperband",
        "number of rungs",
        "R / r = eta^k has k + 1 rungs, floor(log_eta(R / r)) + 1: here for eta 2 ... 10 and k up to 12; "
        "a logarithm in floating point may miss it, on some machines or with some libraries only",
        HYPERBAND,
        _rungs,
        _asked_rungs(),
    ),
    Rule(
        "hyperband",
        "bracket sizes, R = 81",
        "n = ceil((s_max + 1) / (s + 1) eta^s): 81 / 34 / 15 / 8 / 5",
        HYPERBAND + ", line 2",
        lambda: _sizes(81),
        _asked_sizes(81),
    ),
    Rule(
        "hyperband",
        "bracket sizes, R = 243",
        "n = ceil((s_max + 1) / (s + 1) eta^s): 243 / 98 / 41 / 18 / 9 / 6",
        HYPERBAND + ", line 2",
        lambda: _sizes(243),
        _asked_sizes(243),
    ),
    Rule(
        "sha",
        "counts",
        "with n = 81, eta 3: 81, 27, 9, 3, 1 configurations at the rungs",
        "Jamieson & Talwalkar 2016; Li et al. 2018, Algorithm 1, inner loop",
        _counts,
        (Asked("hpbandster", "counts", _read_counts), Asked("smac", "counts", _read_counts)),
    ),
    Rule(
        "sha",
        "failures",
        "the best n / eta of a rung go on; what failed is none of them, and nothing new enters above",
        "Li et al. 2018, Algorithm 1 (top_k); failures are left open",
        _failures,
        (
            Asked("hpbandster", "failures", _read_failures),
            Asked("smac", "failures", _read_failures),
        ),
    ),
    Rule(
        "async-hyperband",
        "shares of brackets",
        "brackets of asynchronous Hyperband share configurations as Hyperband's do",
        "Li et al. 2020, section 3.3",
        _shares,
        (Asked("syne-tune", "shares", _read_shares),),
    ),
)
