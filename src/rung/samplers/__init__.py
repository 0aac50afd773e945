"""Which configuration next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rung.trials.events import Spec
from rung.trials.methods import Family, Method, make
from rung.trials.methods import spec_of as _spec_of

if TYPE_CHECKING:
    from rung.samplers.base import Sampler

GROUP: Final = "rung.samplers"  # the entry points' group for samplers of others

_ROWS: Final = (
    Method(
        name="auto",
        kind="sampler",
        path="rung.samplers.auto:AutoSampler",
        line="chooses among the others by what the study is and what an evaluation costs (the default)",
    ),
    Method(
        name="transfer",
        kind="sampler",
        path="rung.samplers.transfer:TransferSampler",
        line="starts from what earlier studies found, as long as that helps, and goes on with another sampler",
        paper="Feurer, Springenberg, Hutter 2015, Initializing Bayesian Hyperparameter Optimization via "
        "Meta-Learning; Feurer, Letham, Bakshy 2018, Scalable Meta-Learning for Bayesian Optimization",
    ),
    Method(
        name="random",
        kind="sampler",
        path="rung.samplers.random:RandomSampler",
        line="draws every configuration from the prior",
        paper="Bergstra, Bengio 2012, Random Search for Hyper-Parameter Optimization",
    ),
    Method(
        name="grid",
        kind="sampler",
        path="rung.samplers.grid:GridSampler",
        line="goes through evenly spaced values of all parameters, then ends",
    ),
    Method(
        name="kde",
        kind="sampler",
        path="rung.samplers.kde:KdeSampler",
        line="draws near good configurations, by kernel densities of good and bad ones (BOHB's model)",
        paper="Falkner, Klein, Hutter 2018, BOHB: Robust and Efficient Hyperparameter Optimization at Scale",
    ),
    Method(
        name="tpe",
        kind="sampler",
        path="rung.samplers.tpe:TpeSampler",
        line="draws near good configurations, by Parzen estimators of good and bad ones, joint or by group",
        paper="Bergstra, Bardenet, Bengio, Kégl 2011, Algorithms for Hyper-Parameter Optimization; Watanabe "
        "2023, Tree-Structured Parzen Estimator",
    ),
)
SAMPLERS: Final = {row.name: row for row in _ROWS}

FAMILY: Final = Family("sampler", "suggest", GROUP, SAMPLERS)


def make_sampler(sampler: str | Spec | Sampler) -> Sampler:
    """The sampler that a name, a spec from the log or an object stands for.

    Raises:
        StudyError: an unknown name or setting (the message has the closest one), or no sampler at all.
    """
    made: Sampler = make(FAMILY, sampler)
    return made


def spec_of(sampler: Sampler) -> Spec:
    """The sampler's name and settings, as the log keeps them: `make_sampler` gives an equal sampler.

    Raises:
        StudyError: the sampler is not a dataclass.
    """
    return _spec_of(FAMILY, sampler)
