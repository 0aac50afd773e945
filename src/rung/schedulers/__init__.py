"""Who runs next, and how far: the table of schedulers, each loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from rung.trials import methods
from rung.trials.events import Spec
from rung.trials.methods import Family, Method

if TYPE_CHECKING:
    from rung.schedulers.base import Scheduler

_ROWS: Final = (
    ("plain", "plain:Plain", "every configuration straight to the largest resource", ""),
    (
        "sha",
        "sha:SuccessiveHalving",
        "synchronous successive halving: the best one in eta of each rung goes on",
        "Jamieson & Talwalkar 2016",
    ),
    (
        "hyperband",
        "hyperband:Hyperband",
        "successive halving in brackets that start at different rungs",
        "Li et al. 2018",
    ),
    ("asha", "asha:ASHA", "successive halving without barriers, by promotion", "Li et al. 2020"),
    (
        "asha-stopping",
        "asha_stopping:ASHAStopping",
        "successive halving without barriers or pauses, by stopping",
        "Li et al. 2020",
    ),
    (
        "pbt",
        "pbt:PBT",
        "population based training: the worst members copy the best ones, changed a little",
        "Jaderberg et al. 2017",
    ),
    ("async-hyperband", "async_hyperband:AsyncHyperband", "asha in Hyperband's brackets", "Li et al. 2020"),
    (
        "pasha",
        "pasha:PASHA",
        "asha whose ladder grows only while the ranking of trials is unstable",
        "Bohdal et al. 2023",
    ),
    (
        "hyper-tune",
        "hyper_tune:HyperTune",
        "async-hyperband that learns which brackets are worth their cost",
        "Li et al. 2022",
    ),
    (
        "mo-asha",
        "mo_asha:MOASHA",
        "asha for several objectives: by Pareto front, then by an epsilon-net",
        "Schmucker et al. 2021",
    ),
    (
        "median",
        "median:Median",
        "a trial stops when it is worse than the median of the others' averages",
        "Golovin et al. 2017",
    ),
    (
        "percentile",
        "percentile:Percentile",
        "a trial stops when it is worse than a percentile of the others",
        "Golovin et al. 2017",
    ),
    (
        "race",
        "race:Racing",
        "repeats as the resource: candidates that a test finds worse drop out",
        "Birattari et al. 2002",
    ),
    (
        "curve",
        "curve:CurveStopping",
        "a trial stops when its learning curve will hardly beat the incumbent",
        "Domhan et al. 2015",
    ),
    (
        "fabolas",
        "fabolas:Fabolas",
        "data subsets: configuration and size by what they tell for their cost",
        "Klein et al. 2017",
    ),
    (
        "freeze-thaw",
        "freeze_thaw:FreezeThaw",
        "paused trials and new ones by what they tell about where curves end",
        "Swersky et al. 2014",
    ),
)

SCHEDULERS: Final[dict[str, Method]] = {
    name: Method(name, "scheduler", f"rung.schedulers.{path}", line, paper)
    for name, path, line, paper in _ROWS
}
"""Our schedulers by name; plug-ins come by entry points of the group "rung.schedulers"."""

FAMILY: Final = Family("scheduler", "next", "rung.schedulers", SCHEDULERS)


def known_schedulers() -> dict[str, Method]:
    """Our schedulers and the installed plug-ins' by name; loads none of them."""
    return methods.known(FAMILY)


def make_scheduler(given: str | Spec | Scheduler) -> Scheduler:
    """The scheduler that a name or a spec stands for; an object of one is returned as it is.

    Raises:
        StudyError: an unknown name (the message names the closest), settings that it lacks or refuses, or
            an object that is no scheduler.
    """
    return cast("Scheduler", methods.make(FAMILY, given))


def spec_of(scheduler: Scheduler) -> Spec:
    """The name and the settings of a scheduler, from which `make_scheduler` makes an equal one.

    Raises:
        StudyError: it is no dataclass, so that its settings cannot be kept.
    """
    return methods.spec_of(FAMILY, scheduler)
