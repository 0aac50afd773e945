"""Where the default's table comes from: `python -m benchmarks.default run|report [...]`.

Each sampler runs on each problem, alone and with 16 simulated workers, over seeds; a row of JSON each, so
that a run that was stopped goes on from the rows that are there. The report ranks samplers by their mean
regret on the way (the mean, over the budget, of the logarithm of the incumbent's regret) on each problem;
ties are split.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

import rung
from benchmarks.problems import Problem
from benchmarks.problems.synthetic import SYNTHETIC
from rung.executors.simulated import SimulatedExecutor

SAMPLERS = ("random", "sobol", "kde", "tpe", "forest", "cqr", "gp", "turbo", "cmaes", "auto")
ROWS = Path("benchmarks/data/default.jsonl")
POINTS = 20  # at which regret is looked at, evenly spread over the budget


def search(problem: Problem, sampler: str, scheduler: str | None, workers: int, seed: int) -> dict[str, Any]:
    """One study: the regret of its incumbent at each of `POINTS`, and the seconds spent deciding."""
    largest = problem.resource[2] if problem.resource else 1
    truth = problem.truth or (lambda config: problem.value(config, largest, 0))

    def curve(config: Mapping[str, Any], trial: int, resource: int) -> dict[str, float]:
        return {"loss": problem.value(config, resource, 1000 * seed + trial)}

    executor = SimulatedExecutor(
        workers, curve, lambda config, start, until, trial: float(until - start), reports="saves"
    )
    seen: list[tuple[int, float]] = []

    def watch(study: rung.Study, events: Any) -> None:
        best = study.history.incumbent
        if best is not None:
            value = truth(study.history.config(best.trial)) - problem.optimum
            if not seen or seen[-1][1] != value:
                seen.append((study.history.spent, value))

    began = time.perf_counter()
    rung.tune(
        lambda config: None,
        problem.space,
        sampler=None if sampler == "auto" else sampler,
        scheduler=scheduler,
        resource=problem.resource,
        total_resource=problem.evaluations * largest,
        trials=None if problem.resource else problem.evaluations,
        executor=executor,
        seed=seed,
        evaluation_cost="10m",
        watch=watch,
    )
    budget = problem.evaluations * largest
    return {"regret": list(_at(seen, budget)), "seconds": time.perf_counter() - began}


def _at(seen: list[tuple[int, float]], budget: int) -> Iterator[float]:
    """The regret after each part of the budget; where there is no incumbent yet, the first one's."""
    for point in range(1, POINTS + 1):
        known = [value for spent, value in seen if spent <= budget * point / POINTS]
        yield max(known[-1] if known else seen[0][1], 1e-9)


def run(problems: Iterable[str], methods: Iterable[str], seeds: int, workers: Iterable[int]) -> None:
    """All studies that have no row yet; a method is a sampler, or a sampler and a scheduler as tpe+asha."""
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    done = {_key(row) for row in read()}
    for seed, name, count, method in product(range(seeds), problems, workers, methods):
        row: dict[str, Any] = {"problem": name, "sampler": method, "workers": count, "seed": seed}
        if _key(row) in done:
            continue
        sampler, _, scheduler = method.partition("+")
        row |= search(SYNTHETIC[name], sampler, scheduler or None, count, seed)
        with ROWS.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{name} {method} x{count} seed {seed}: {row['regret'][-1]:.4g}", flush=True)


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("problem", "sampler", "workers", "seed"))


def read() -> list[dict[str, Any]]:
    """The rows so far."""
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


def report(rows: list[dict[str, Any]]) -> str:
    """Mean ranks on the way and at the end, by number of workers, and each problem's own."""
    scores: dict[tuple[int, str, str], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        logs = [math.log10(value) for value in row["regret"]]
        scores[row["workers"], row["problem"], row["sampler"]].append((float(np.mean(logs)), logs[-1]))
    lines = []
    for workers in sorted({key[0] for key in scores}):
        problems = sorted({key[1] for key in scores if key[0] == workers})
        samplers = sorted({key[2] for key in scores if key[0] == workers})
        table = np.array([[_mean(scores[workers, p, s]) for s in samplers] for p in problems])  # (p, s, 2)
        ranks = np.array([rankdata(table[:, :, k], axis=1, nan_policy="omit") for k in (0, 1)])  # (2, p, s)
        order = np.argsort(np.nanmean(ranks[0], axis=0))
        lines.append(f"\n{workers} worker{'s' * (workers > 1)}: log10 of the regret, on the way / at the end")
        lines.append(_line("", [samplers[j] for j in order]))
        lines += [_line(name, [_cell(*table[i, j]) for j in order]) for i, name in enumerate(problems)]
        lines.append(_line("mean rank", [_cell(*np.nanmean(ranks[:, :, j], axis=1)) for j in order]))
    return "\n".join(lines)


def _line(name: str, cells: list[str]) -> str:
    return f"{name:12}" + "".join(f"{cell:>16}" for cell in cells)


def _cell(way: float, end: float) -> str:
    return "-" if math.isnan(way) else f"{way:.2f} / {end:.2f}"


def _mean(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    if not pairs:
        return math.nan, math.nan
    return float(np.mean([one for one, _ in pairs])), float(np.mean([other for _, other in pairs]))


def main() -> None:
    """Run what is missing, or report what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--problems", nargs="+", choices=SYNTHETIC, default=list(SYNTHETIC))
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), metavar="SAMPLER[+SCHEDULER]")
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.what == "run":
        run(arguments.problems, arguments.samplers, arguments.seeds, arguments.workers)
    wanted = set(arguments.samplers)
    print(
        report([row for row in read() if row["problem"] in arguments.problems and row["sampler"] in wanted])
    )


if __name__ == "__main__":
    main()
