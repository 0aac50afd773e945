"""Densities of good and bad configurations: `kde` and `tpe`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from benchmarks.conformance.lab import Lab
from benchmarks.conformance.rule import Asked, Outcome, Rule, expect, listed
from rung.samplers.density import draw, ranked
from rung.samplers.kde import KdeSampler
from rung.samplers.observed import observed
from rung.samplers.tpe import TpeSampler, improvements
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Float

BOHB: Final = "Falkner et al. 2018, Algorithm 2"
WATANABE: Final = "Watanabe 2023"
MIXED: Final = compile_space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0), "c": Categorical(["a", "b", "c"])})


def rows(count: int) -> list[list[float]]:
    """Configurations that rung and the peers are given: x, y, the category's code, the loss."""
    draws = np.random.default_rng(7).random((count, 3))
    return [
        [x, y, float(int(3 * c)), (x - 0.3) ** 2 + (y - 0.6) ** 2 + 0.02 * int(3 * c)] for x, y, c in draws
    ]


def _told(sampler: Any, count: int) -> Lab:
    lab = Lab(sampler=sampler, space=MIXED, resource=None)
    for x, y, c, loss in rows(count):
        lab.trial((x, y, "abc"[int(c)]), loss)
    return lab


def _statsmodels(data: Any, bandwidths: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what its next version will do otherwise
        from statsmodels.nonparametric.kernel_density import KDEMultivariate

        return KDEMultivariate(data, var_type="ccu", bw=bandwidths)


def _bandwidths() -> Outcome:
    model = KdeSampler().model(MIXED, _told(KdeSampler(), 60).history)
    assert model is not None
    best = np.array(sorted(rows(60), key=lambda row: row[3])[:9])[:, :3]
    wanted = _statsmodels(best, "normal_reference").bw
    found = model.good.bandwidths
    text = f"good ones': {_shown(found)}; statsmodels' {_shown(wanted)}"
    return Outcome(text, bool(np.allclose(found, np.minimum(wanted, [np.inf, np.inf, 2 / 3]))))


def _shown(values: Any) -> str:
    return ", ".join(f"{value:.4f}" for value in values)


def _read_bandwidths(answer: Mapping[str, Any]) -> Outcome:
    model = KdeSampler().model(MIXED, _told(KdeSampler(), 60).history)
    assert model is not None
    return Outcome(f"{_shown(answer['good'])}", bool(np.allclose(answer["good"], model.good.bandwidths)))


def _sizes(count: int) -> tuple[int, int]:
    model = KdeSampler().model(MIXED, _told(KdeSampler(), count).history)
    return (0, 0) if model is None else (model.good.data.shape[1], model.bad.data.shape[1])


def _split() -> Outcome:
    found = _sizes(100)
    return expect(found, (15, 85), f"of 100 results {found[0]} are good, {found[1]} bad")


def _first() -> Outcome:
    first = next(n for n in range(1, 40) if _sizes(n) != (0, 0))
    return expect(first, 6, f"first model after {first} results (d = 3, N_min = 4)")


def _read_first(answer: Mapping[str, Any]) -> Outcome:
    return Outcome(f"first model after {answer['first']} results (d = 3)", answer["first"] == 6)


def _read_split(answer: Mapping[str, Any]) -> Outcome:
    good, bad = answer["good"], answer["bad"]
    return Outcome(f"of 100 results {good} are good, {bad} bad", (good, bad) == (15, 85))


def _best() -> Outcome:
    """The candidate that comes first, against statsmodels' densities with the same bandwidths."""
    right = 0
    model = KdeSampler().model(MIXED, _told(KdeSampler(), 80).history)
    assert model is not None
    pair = [_statsmodels(each.data.T, each.bandwidths) for each in (model.good, model.bad)]
    for seed in range(20):
        points = draw(model.good, 64, 3.0, np.random.default_rng(seed))
        ratios = pair[0].pdf(points) / pair[1].pdf(points)
        right += bool(ratios[next(ranked(model.good, model.bad, points))] >= ratios.max() * (1 - 1e-9))
    return expect(right, 20, f"the best of 64 by statsmodels' densities, {right} times of 20")


def _random() -> Outcome:
    lab = _told(KdeSampler(), 60)
    part = sum(not lab.suggest(60 + n).origin.model for n in range(600)) / 600
    return Outcome(f"{part:.3f} of 600 suggestions are random", abs(part - 1 / 3) < 0.06)


def _read_random(answer: Mapping[str, Any]) -> Outcome:
    return Outcome(f"{answer['part']:.3f} of 300 suggestions are random", abs(answer["part"] - 1 / 3) < 0.09)


# -- tpe ---------------------------------------------------------------------------------------------------

COUNTS: Final = (10, 100, 250, 1000)


def _gamma() -> Outcome:
    found = []
    for count in COUNTS:
        evidence = TpeSampler().evidence(_told(TpeSampler(), count).history)
        assert evidence is not None
        found.append(len(evidence.good))
    return _good(found)


def _good(found: list[int]) -> Outcome:
    return Outcome(f"good of 10, 100, 250, 1,000 results: {listed(found)}", found == [1, 10, 25, 25])


def _improvement() -> Outcome:
    good, bad = np.array([1.0, 2.0, 4.0]), np.array([5.0, 9.0])
    found = improvements(good, bad)
    wanted = (5.0 - good) / (5.0 - good).mean()
    return Outcome(f"weights {_shown(found)} of losses 1, 2, 4 below 5", bool(np.allclose(found, wanted)))


def _read_weights(answer: Mapping[str, Any]) -> Outcome:
    weights = answer["weights"]
    text = f"by age, not loss: {weights[0]:.3f} of the oldest of 30, {weights[-1]:.3f} of the latest"
    return Outcome(text, bool(answer["losses"]))


def _fidelity() -> Outcome:
    """81 results at 1, 27 at 3, 12 at 9: the model is that of 9, and what stopped below is bad."""
    lab = Lab(sampler=TpeSampler(), space=MIXED, resource=(1, 9))
    for count, until in ((81, 1), (27, 3), (12, 9)):
        lab.random(count, lambda config: float(config["x"]), until)
    evidence = TpeSampler().evidence(lab.history)
    assert evidence is not None
    alike = set(evidence.good.tolist()) <= set(observed(lab.history, 9).trials.tolist())
    text = f"good are results at {evidence.fidelity} only: {len(evidence.good)} of its 12"
    return Outcome(text, evidence.fidelity == 9 and alike)


def _read_fidelity(answer: Mapping[str, Any]) -> Outcome:
    text = (
        f"with HyperbandPruner its model is of {answer['seen']} trials of all brackets; "
        f"the bracket had {answer['bracket']}"
    )
    return Outcome(text, answer["seen"] == answer["bracket"])


def _pending() -> Outcome:
    """Eight parallel suggestions, each pending when the next is made; the mean distance of neighbours."""
    lab = _told(TpeSampler(), 60)
    points = []
    for _ in range(8):
        values, origin = lab.suggest()
        lab.starts_with(values, origin)
        points.append(values)
    evidence = TpeSampler().evidence(lab.history)
    assert evidence is not None
    pending = set(range(60, 68)) <= set(evidence.bad.tolist())
    text = f"{len(set(points))} of 8 parallel suggestions differ; all of them are bad in the model: {pending}"
    return Outcome(text, len(set(points)) == 8 and pending)


def _read_pending(answer: Mapping[str, Any]) -> Outcome:
    text = f"{answer['different']} of 8 parallel suggestions differ; {answer['pending']} are in the model"
    return Outcome(text, answer["different"] == 8 and answer["pending"] == 8)


def _asked(peer: str, rule: str, read: Any, count: int = 0) -> Asked:
    return Asked(peer, rule, read, {"rows": rows(count)} if count else {})


RULES: Final = (
    Rule(
        "kde",
        "bandwidths",
        "the normal reference rule of statsmodels, in each dimension",
        BOHB + ", and the authors' code",
        _bandwidths,
        (_asked("hpbandster", "bandwidths", _read_bandwidths, 60),),
    ),
    Rule(
        "kde",
        "split",
        "N_l = max(N_min, q N) are good, N_g = max(N_min, N - N_l) bad, q = 0.15",
        BOHB,
        _split,
        (_asked("hpbandster", "split", _read_split, 100),),
    ),
    Rule(
        "kde",
        "first model",
        "a budget has a model from N_min + 2 results on, N_min = d + 1",
        BOHB,
        _first,
        (_asked("hpbandster", "first", _read_first, 39),),
    ),
    Rule(
        "kde",
        "the best candidate",
        "of N_s = 64 candidates the one with the highest l / g is suggested",
        BOHB,
        _best,
    ),
    Rule(
        "kde",
        "random part",
        "a constant fraction rho = 1/3 of configurations is random",
        BOHB,
        _random,
        (_asked("hpbandster", "random", _read_random, 60),),
    ),
    Rule(
        "tpe",
        "gamma",
        "the best ceil(0.1 n), at most 25, are good",
        WATANABE + ", section 3.1 (linear)",
        _gamma,
        (Asked("optuna", "gamma", lambda answer: _good(answer["good"]), {"counts": list(COUNTS)}),),
    ),
    Rule(
        "tpe",
        "weights of good trials",
        "recommended: by expected improvement over the threshold",
        WATANABE + ", section 3.2",
        _improvement,
        (Asked("optuna", "weights", _read_weights),),
    ),
    Rule(
        "tpe",
        "several fidelities",
        "a model must not rank losses of different fidelities together",
        "Falkner et al. 2018, Algorithm 2; Optuna's documentation (a TPE for each bracket)",
        _fidelity,
        (Asked("optuna", "bracket_tpe", _read_fidelity),),
    ),
    Rule(
        "tpe",
        "pending trials",
        "pending trials count as bad (a constant lie), so that workers keep apart",
        "Ginsbourger et al. 2010; Optuna's constant_liar",
        _pending,
        (_asked("optuna", "pending", _read_pending, 60),),
    ),
)
