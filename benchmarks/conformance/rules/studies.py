"""What holds for whole studies: seeds, resuming, several objectives, constraints, repeats, failures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import rung
from benchmarks.conformance.rule import Asked, Cannot, Outcome, Rule
from rung.executors.simulated import SimulatedExecutor
from rung.schedulers import make_scheduler
from rung.storage import open_storage
from rung.study.audit import audit
from rung.trials import events as ev
from rung.trials.history import History

SPACE: Final = {"x": rung.Float(0.0, 1.0), "n": rung.Integer(1, 9)}
TWELVE: Final = {"c": rung.Categorical(["a", "b", "c"]), "n": rung.Integer(1, 4)}


def _curve(config: Mapping[str, Any], trial: int, resource: int) -> dict[str, float]:
    return {"loss": (config["x"] - 0.3) ** 2 + 0.01 * config["n"] + 1.0 / resource, "size": config["n"]}


class Ran(NamedTuple):
    """A finished study's history and its log."""

    history: History
    events: list[ev.Event]


def _study(workers: int, seed: int = 0, **settings: Any) -> Ran:
    """Forty trials on a virtual clock."""
    executor = SimulatedExecutor(workers, _curve, lambda config, start, end, t: float(end - start) + t % 3)
    storage = open_storage("memory")
    study = rung.Study(
        SPACE, resource=("epoch", 1, 27), seed=seed, trials=40, storage=storage, study="s", **settings
    )
    study.run(_curve, executor=executor)
    return Ran(study.history, list(storage.read("s")))


def _found(study: Ran) -> list[Any]:
    history = study.history
    return [(history.values[t], history.reached[t], history.latest[t]) for t in range(len(history))]


def _seeds() -> Outcome:
    same = [_found(_study(1, sampler="kde", scheduler="asha")) for _ in range(2)]
    other = _found(_study(1, seed=1, sampler="kde", scheduler="asha"))
    text = "kde under asha: equal trials and results with equal seeds, others with another seed"
    return Outcome(text, same[0] == same[1] != other)


def _read_seeds(answer: Mapping[str, Any]) -> Outcome:
    text = "equal with equal seeds" if answer["same"] else "differs from run to run with equal seeds"
    return Outcome(text + answer.get("note", ""), bool(answer["same"]))


def _rederived() -> Outcome:
    """Sixteen workers: the log alone gives each decision again."""
    found = audit(_study(16, sampler="kde", scheduler="asha").events)
    text = f"kde under asha, 16 workers: {len(found.differences)} decisions differ from those derived again"
    return Outcome(text, not found.differences and found.decisions > 50)


def _resumed() -> Outcome:
    """Folding a log's beginning and asking gives what was decided there, at each place."""
    study = _study(4, sampler="random", scheduler="asha")
    events = study.events
    scheduler = make_scheduler("asha")
    whole = History(scheduler)
    wrong = checked = 0
    for place, event in enumerate(events):
        if isinstance(event, ev.JobStarted) and place % 2 == 0:
            cut = History(scheduler).fold_all(events[:place])
            wrong += scheduler.next(cut) != scheduler.next(whole)
            checked += 1
        whole.fold(event)
    text = f"cut at {checked} places and read again: {checked - wrong} next decisions are the same"
    return Outcome(text, wrong == 0 and checked > 10)


def _several() -> Outcome:
    study = _study(1, sampler="random", scheduler="mo-asha", metric=["loss", "size"], mode=["min", "min"])
    reached = study.history.reached
    early = sum(resource < 27 for resource in reached)
    text = f"mo-asha: {early} of {len(reached)} trials ended early, with two objectives"
    return Outcome(text, 0 < early < len(reached))


def _read_several(answer: Mapping[str, Any]) -> Outcome:
    return Outcome(answer["said"], bool(answer["works"]))


def _repeats() -> Outcome:
    def objective(config: Mapping[str, Any]) -> float:
        return float("abc".index(config["c"]) + config["n"])

    result = rung.tune(objective, TWELVE, sampler="tpe", scheduler="plain", trials=12, seed=0)
    return _different(len({tuple(trial.config.values()) for trial in result.trials}))


def _different(count: int) -> Outcome:
    return Outcome(f"{count} different ones in 12 trials of a space of 12", count == 12)


def _constrained() -> Outcome:
    """The least losses break the constraint."""
    study = rung.Study(SPACE, sampler="random", scheduler="plain", trials=40, constraints=["size >= 5"])
    study.run(lambda config: _curve(config, 0, 1))
    best = study.history.incumbent
    assert best is not None
    size = study.history.config(best.trial)["n"]
    return _within(size)


def _within(size: float) -> Outcome:
    return Outcome(
        f"the best of 40 keeps the bound 5: n = {size:g}"
        if size >= 5
        else f"the best breaks it: n = {size:g}",
        size >= 5,
    )


def _nan() -> Outcome:
    def objective(config: Mapping[str, Any]) -> float:
        return math.nan if config["x"] < 0.5 else float(config["x"])

    result = rung.tune(objective, SPACE, sampler="tpe", scheduler="plain", trials=30, seed=0)
    states = {str(trial.state) for trial in result.trials if not math.isfinite(trial.value or math.nan)}
    best = result.best.value
    return Outcome(
        f"a NaN is a failed trial ({', '.join(sorted(states))}), the search goes on",
        best >= 0.5,
    )


def _read_nan(answer: Mapping[str, Any]) -> Outcome:
    return Outcome(
        f"a NaN is a failed trial ({answer['states']}), the search goes on",
        answer["best"] >= 0.5,
    )


RULES: Final = (
    Rule(
        "study",
        "seed, one worker",
        "the same seed gives the same study",
        "rung's promise",
        _seeds,
        (
            Asked("optuna", "seeds", _read_seeds),
            Asked("hpbandster", "seeds", _read_seeds),
            Asked("syne-tune", "seeds", _read_seeds),
            Asked("dehb", "seeds", _read_seeds),
        ),
    ),
    Rule(
        "study",
        "many workers",
        "each decision can be derived again from the log",
        "rung's promise",
        _rederived,
        (Cannot("optuna", "keeps no order of decisions"),),
    ),
    Rule(
        "study",
        "resume",
        "after a stop at any place the next decision is what it would have been",
        "rung's promise",
        _resumed,
        (
            Cannot("optuna", "a trial that was stopped does not resume"),
            Cannot("hpbandster", "keeps nothing: a new run begins anew"),
        ),
    ),
    Rule(
        "study",
        "several objectives, early stopping",
        "trials stop early with several objectives, too",
        "Schmucker et al. 2021",
        _several,
        (Asked("optuna", "several", _read_several), Asked("syne-tune", "several", _read_several)),
    ),
    Rule(
        "study",
        "duplicates",
        "without noise, no configuration of a discrete space is evaluated twice",
        "rung's promise",
        _repeats,
        (
            Asked("optuna", "repeats", lambda answer: _different(answer["different"])),
            Asked("smac", "repeats", lambda answer: _different(answer["different"])),
        ),
    ),
    Rule(
        "study",
        "constraints",
        "what breaks a constraint is never the best",
        "Deb et al. 2002, section VI",
        _constrained,
        (Asked("optuna", "constraints", lambda answer: _within(answer["size"])),),
    ),
    Rule(
        "study",
        "NaN at the end",
        "a NaN is a failed trial, and ends nothing",
        "left open by papers",
        _nan,
        (Asked("optuna", "nan", _read_nan),),
    ),
)
