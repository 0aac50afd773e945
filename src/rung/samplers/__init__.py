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
