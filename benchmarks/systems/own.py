"""rung's own methods, through `rung.tune` on the simulated executor."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any, Final

import rung
from benchmarks.problems import Problem
from benchmarks.systems import Setting, System
from benchmarks.systems.trace import Trace
from rung.executors.simulated import SimulatedExecutor
from rung.trials.events import Event


def search(problem: Problem, setting: Setting, trace: Trace, **method: Any) -> None:
    """One study; `method` is what names the method to `rung.tune`, nothing for the default."""
    warm()
    tick()
    outside = 0.0  # seconds spent in the problem, not in rung
    fresh: list[tuple[Mapping[str, Any], int, float, int]] = []  # results not yet in the trace
    reached: dict[int, int] = {}  # by trial, the resource from which its job goes on
    spent = 0  # of what was reported; the study's own count has the jobs that run now, too

    def curve(config: Mapping[str, Any], trial: int, resource: int) -> dict[str, float]:
        nonlocal outside, spent
        began = time.process_time()
        loss = problem.value(config, resource, 100_000 * setting.seed + trial)
        spent += resource - reached[trial]
        reached[trial] = resource
        fresh.append((config, resource, loss, spent))
        outside += time.process_time() - began + tick()
        return {"loss": loss}

    def duration(config: Mapping[str, Any], start: int, until: int, trial: int) -> float:
        reached[trial] = start
        return problem.seconds(config, start, until)

    executor = SimulatedExecutor(
        setting.workers,
        curve,
        duration,
        setting.stragglers,
        setting.drop,
        setting.seed,
        "saves" if problem.continues else "ends",
    )

    def watch(study: rung.Study, events: Sequence[Event]) -> None:
        nonlocal outside
        began = time.process_time()
        if setting.seconds is None or executor.now() <= setting.seconds:
            for config, resource, loss, used in fresh:
                trace.result(config, resource, loss, used, executor.now())
        fresh.clear()
        outside += time.process_time() - began + tick()

    began = time.process_time()
    result = rung.tune(
        lambda config: None,
        problem.space,
        resource=problem.resource,
        total_resource=setting.evaluations * problem.largest,
        trials=setting.trials if problem.resource else setting.trials or setting.evaluations,
        budget=setting.seconds,
        eta=setting.eta,
        executor=executor,
        seed=setting.seed,
        evaluation_cost="10m",
        watch=watch,
        quiet=True,
        **method,
    )
    if result.reason == "interrupted":  # by a signal, which the study took: this is no whole search
        raise KeyboardInterrupt
    trace.deciding = time.process_time() - began - outside


@cache
def tick() -> float:
    """Seconds that a look at the processor's clock takes: half a millisecond on some systems."""
    began = time.process_time()
    for _ in range(40):
        time.process_time()
    return (time.process_time() - began) / 41


@cache
def warm() -> None:
    """Import what rung imports when it first needs it: not a cost of deciding; peers import before, too."""
    for sampler in ("gp", "forest", "kde"):
        rung.tune(
            lambda config: {"loss": config["x"]},
            {"x": rung.Float(0.0, 1.0)},
            sampler=sampler,
            trials=8,
            quiet=True,
        )


def _method(note: str, model: str = "none", multi_fidelity: bool = True, **method: Any) -> System:
    return System(partial(search, **method), note, model, multi_fidelity)


ENTRIES: Final = {
    "rung": System(search, "what rung does when told nothing", "process"),
    "rung random": _method("random search", multi_fidelity=False, method="random-search"),
    "rung hyperband": _method("Hyperband", method="hyperband"),
    "rung sha": _method("successive halving", method="successive-halving"),
    "rung asha": _method("asynchronous successive halving", method="asha"),
    "rung bohb": _method("BOHB: Hyperband with kernel densities", "density", method="bohb"),
    "rung tpe": _method(
        "TPE, every evaluation a full one", "density", False, sampler="tpe", scheduler="plain"
    ),
    "rung gp": _method("Gaussian process", "process", False, sampler="gp", scheduler="plain"),
    "rung smac": _method("random forest", "forest", False, sampler="forest", scheduler="plain"),
    "rung gp+asha": _method("the same under ASHA", "process", sampler="gp", scheduler="asha"),
    "rung mfes+asha": _method(
        "a model of all fidelities under ASHA", "density", sampler="mfes", scheduler="asha"
    ),
    "rung tpe+asha": _method("TPE under ASHA", "density", sampler="tpe", scheduler="asha"),
    "rung hyper-tune": _method("Hyper-Tune", "forest", method="hyper-tune"),
    "rung dehb": _method("DEHB", "evolution", method="dehb"),
    "rung async-hyperband": _method("asynchronous Hyperband", method="async-hyperband"),
    "rung pbt": _method("population based training", "evolution", method="pbt"),
    "rung pbt 25": _method(
        "population based training, 25 members", "evolution", sampler="random", scheduler="pbt(population=25)"
    ),
    "rung pbt 500": _method(
        "population based training, 500 members",
        "evolution",
        sampler="random",
        scheduler="pbt(population=500)",
    ),
    "rung fabolas": _method("Fabolas", "process", method="fabolas"),
}
