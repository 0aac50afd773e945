"""What DEHB does: its brackets, sub-populations, mutation and crossover."""

import tempfile
from typing import Any

import ConfigSpace
import numpy as np
from answer import answer
from dehb import DEHB
from dehb.optimizers.de import DE


def _sampler(largest: int, folder: str) -> DEHB:
    space = ConfigSpace.ConfigurationSpace(seed=0)
    space.add([ConfigSpace.UniformFloatHyperparameter(f"x{i}", 0.0, 1.0) for i in range(3)])
    return DEHB(
        f=None,
        cs=space,
        dimensions=3,
        min_fidelity=1,
        max_fidelity=largest,
        eta=3,
        n_workers=1,
        seed=0,
        output_path=folder,
        save_freq="end",
        log_level="ERROR",
    )


def rungs(ladders: list[list[int]]) -> dict[str, Any]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        sampler = _sampler(9, folder)
        for eta, power in ladders:
            sampler.eta, sampler.max_fidelity = eta, eta**power
            sampler._pre_compute_fidelity_spacing()
            found.append([eta, power, sampler.max_SH_iter])
    return {"found": found}


def bracket_sizes(largest: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        sampler = _sampler(largest, folder)
        return {"sizes": [sampler._get_next_iteration(i)[0][0] for i in range(sampler.max_SH_iter)]}


def subpopulations() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        sizes = _sampler(81, folder)._max_pop_size
        return {"sizes": [sizes[fidelity] for fidelity in sorted(sizes)]}


def _evolution(rate: float, dimensions: int) -> DE:
    return DE(dimensions=dimensions, pop_size=10, mutation_factor=0.5, crossover_prob=rate, seed=0)


def mutation() -> dict[str, Any]:
    three = np.random.default_rng(0).random((3, 5))
    found = _evolution(0.5, 5).mutation_rand1(*three)
    return {"gap": float(np.abs(found - (three[0] + 0.5 * (three[1] - three[2]))).max())}


def crossover() -> dict[str, Any]:
    target, mutant = np.zeros(20), np.ones(20)
    rare, even = _evolution(0.0, 20), _evolution(0.5, 20)
    none = [int(rare.crossover_bin(target, mutant).sum()) for _ in range(100)]
    return {
        "none": none,
        "half": float(np.mean([even.crossover_bin(target, mutant).mean() for _ in range(500)])),
    }


def boundary() -> dict[str, Any]:
    sampler = _evolution(0.5, 3)
    sampler.fix_type = "random"
    fixed = np.array([sampler.boundary_check(np.array([0.4, 1.7, -0.2])) for _ in range(500)])
    drawn = fixed[:, 1:]
    kept = bool((fixed[:, 0] == 0.4).all())
    return {"kept": kept, "mean": drawn.mean(), "low": drawn.min(), "high": drawn.max()}


def seeds() -> dict[str, Any]:
    runs = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            sampler, found = _sampler(9, folder), []
            for _ in range(30):
                job = sampler.ask()
                found.append([float(value) for value in dict(job["config"]).values()])
                sampler.tell(job, {"fitness": sum(found[-1]), "cost": 1.0})
            runs.append(found)
    return {"same": runs[0] == runs[1]}


answer({f.__name__: f for f in (rungs, bracket_sizes, subpopulations, mutation, crossover, boundary, seeds)})
