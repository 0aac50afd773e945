"""The cost of one suggestion by Syne Tune's searchers."""

import logging

from answer import answer, loss, seconds, timed
from syne_tune.config_space import choice, uniform

logging.disable(logging.CRITICAL)
SPACE = {f"x{i}": uniform(0.0, 1.0) for i in range(7)} | {f"c{i}": choice(["a", "b", "c"]) for i in range(3)}


def suggest(searcher: str, observations: int, repeats: int) -> dict[str, float]:
    """Milliseconds to suggest, after so many random configurations told, one more told before each."""
    sampler = SEARCHERS[searcher]()
    for number in range(observations):
        config = {name: domain.sample() for name, domain in SPACE.items()}
        sampler.on_trial_complete(number, config, loss(config))
    known = observations

    def step() -> float:
        nonlocal known
        cost, config = seconds(sampler.suggest)
        sampler.on_trial_complete(known, config, loss(config))
        known += 1
        return cost

    return timed(step, repeats)


def _cqr():
    from syne_tune.optimizer.schedulers.searchers.conformal.conformal_quantile_regression_searcher import (
        ConformalQuantileRegression,
    )

    return ConformalQuantileRegression(SPACE, random_seed=0)


def _evolution():
    from syne_tune.optimizer.schedulers.searchers.regularized_evolution import RegularizedEvolution

    return RegularizedEvolution(SPACE, random_seed=0)


SEARCHERS = {"cqr": _cqr, "evolution": _evolution}
answer({"suggest": suggest})
