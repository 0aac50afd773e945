"""The cost of one suggestion by DEHB, asked and told."""

import tempfile

import ConfigSpace
from answer import answer, loss, seconds, timed
from dehb import DEHB


def suggest(observations: int, repeats: int) -> dict[str, float]:
    """Milliseconds to ask and to tell, after so many told."""
    space = ConfigSpace.ConfigurationSpace(seed=0)
    space.add([ConfigSpace.UniformFloatHyperparameter(f"x{i}", 0.0, 1.0) for i in range(7)])
    space.add([ConfigSpace.CategoricalHyperparameter(f"c{i}", ["a", "b", "c"]) for i in range(3)])
    with tempfile.TemporaryDirectory() as folder:
        sampler = DEHB(
            f=None,
            cs=space,
            dimensions=10,
            min_fidelity=1,
            max_fidelity=81,
            eta=3,
            n_workers=1,
            seed=0,
            output_path=folder,
            save_freq="end",
            log_level="ERROR",
        )

        def told() -> float:
            asked, job = seconds(sampler.ask)
            value = {"fitness": loss(dict(job["config"])), "cost": 1.0}
            cost, _ = seconds(lambda: sampler.tell(job, value))
            return asked + cost

        for _ in range(observations):
            told()
        return timed(told, repeats)


answer({"suggest": suggest})
