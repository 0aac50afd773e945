"""The default: which sampler a study uses whose user named none, chosen from what is known, and chosen anew.

`TABLE` is read from the top: the first row that fits the facts and whose suggestions cost little beside an
evaluation is taken. `python -m benchmarks.default` measures the rows against each other, and is where the
thresholds come from. A choice is logged before it is followed (topic `choice`), so that a log can be
replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from rung.samplers.auto import TOPIC, chosen
from rung.study.propose import LISTED, configurations
from rung.study.transfer import declared_cost
from rung.trials.events import Event, Identity, Recorded, Spec
from rung.trials.history import History

SHARE: Final = 0.1  # of an evaluation's time that suggestions may take
HYSTERESIS: Final = 2.0  # a sampler in use may take so many times as much before another takes its place
FEW: Final = 8  # evaluations, up to which no model would be used
RECENT: Final = 32  # trials whose durations are an evaluation's


class Facts(NamedTuple):
    """What is known of a study when its next configuration is due.

    Attributes:
        dimensions: parameters that can vary.
        configurations: how many there are in all, if they can be listed.
        fidelities: rungs of the ladder; 1 without a resource.
        goals: objectives.
        noisy: whether the user said so.
        results: how many there are.
        evaluations: how many trials the limits allow, if they say.
        seconds: that an evaluation takes: declared, or measured; None if not known yet.
        workers: evaluations at the same time.
    """

    dimensions: int
    configurations: int | None
    fidelities: int
    goals: int
    noisy: bool
    results: int
    evaluations: int | None
    seconds: float | None
    workers: int


class Row(NamedTuple):
    """A sampler, the facts for which it is the choice, and why.

    `cost` says what a suggestion takes, in seconds on the machine of `docs/speed.md`, from the number of
    results and of dimensions; what is measured corrects it; None is next to nothing.
    """

    sampler: str
    fits: Callable[[Facts], bool]
    cost: Callable[[int, int], float] | None
    why: str
    settings: Mapping[str, Any] = MappingProxyType({})

    @property
    def spec(self) -> Spec:
        """The sampler with its settings, as a log has it."""
        return Spec(self.sampler, dict(self.settings))


@cache
def _installed() -> bool:
    return find_spec("botorch") is not None


def _all_of_them(facts: Facts) -> bool:
    known = facts.configurations is not None and facts.evaluations is not None
    return known and not facts.noisy and facts.configurations <= facts.evaluations  # type: ignore[operator]


def _few_enough_for_a_process(facts: Facts) -> bool:
    return facts.dimensions <= 1000 and facts.results < 3000 and (facts.goals == 1 or _installed())


_DEFAULT_FIRST: Final = {"from_default": True}

TABLE: Final = (
    Row("grid", _all_of_them, None, "all configurations fit into the budget", {"resolution": LISTED}),
    Row(
        "sobol",
        lambda facts: facts.evaluations is not None and facts.evaluations <= FEW,
        None,
        "too few evaluations for a model: the default configuration, then spread evenly",
        _DEFAULT_FIRST,
    ),
    Row(
        "sobol",
        lambda facts: facts.seconds is None and facts.results == 0,
        None,
        "the default configuration, then spread evenly, until it is known what an evaluation takes",
        _DEFAULT_FIRST,
    ),
    Row(
        "gp",
        _few_enough_for_a_process,
        lambda results, dimensions: 0.004 + 0.0001 * min(results, 200) + 0.0003 * dimensions,
        "a Gaussian process, the best model of up to some thousand results, at 5 to 30 ms a suggestion",
    ),
    Row(
        "mfes",
        lambda facts: facts.fidelities > 1 and facts.goals == 1 and not facts.noisy,
        lambda results, dimensions: 0.015 + 1e-5 * min(results, 1000),
        "a model that weighs all fidelities, at about 20 ms a suggestion",
    ),
    Row(
        "tpe",
        lambda facts: True,
        lambda results, dimensions: 0.001 + 2e-8 * results * dimensions,
        "densities of good and bad configurations, at a millisecond or two a suggestion",
    ),
)


class Choice(NamedTuple):
    sampler: Spec
    why: str


def choose(facts: Facts, current: str | None = None, factors: dict[str, float] | None = None) -> Choice:
    """The sampler for these facts.

    Args:
        current: the one in use, which stays if it is nearly affordable.
        factors: by sampler, how many times as long its suggestions took as the table says.
    """
    for row in TABLE:
        if row.fits(facts) and (
            row.cost is None
            or _affordable(
                facts,
                (factors or {}).get(row.sampler, 1.0) * row.cost(facts.results, facts.dimensions),
                row.sampler == current,
            )
        ):
            return Choice(row.spec, row.why)
    last = TABLE[-1]
    return Choice(last.spec, last.why)


def _affordable(facts: Facts, seconds: float, in_use: bool) -> bool:
    """Whether suggestions, `seconds` each, for all workers take a small share of an evaluation's time.

    As long as no evaluation was measured they may take a second: so little is noticed by nobody. They may
    always take a millisecond.
    """
    allowed = 1.0 if facts.seconds is None else max(1e-3, SHARE * facts.seconds)
    return seconds * facts.workers <= allowed * (HYSTERESIS if in_use else 1.0)


class Chooser:
    """Chooses for one study as it goes: it knows the session's workers and what suggestions took."""

    def __init__(self) -> None:
        self.workers = 1
        self._looked = -1
        self._factors: dict[str, float] = {}
        self._loaded: set[str] = set()  # samplers whose first suggestion, with what it imports, is behind

    def due(self, history: History, now: float) -> Recorded | None:
        """The event of another choice than the present one; None if that stays."""
        if len(history.values) == self._looked:
            return None
        self._looked = len(history.values)
        current = chosen(history).name if history.records.get(TOPIC) else None
        choice = choose(facts_of(history, self.workers), current, self._factors)
        if choice.sampler.name == current:
            return None
        data = {"sampler": choice.sampler.name, "settings": dict(choice.sampler.settings), "why": choice.why}
        return Recorded(TOPIC, data, None, now)

    def took(self, history: History, seconds: float) -> None:
        """A suggestion took so long, measured; no matter to a study that is to be the same elsewhere."""
        if history.identity.deterministic:
            return
        name = chosen(history).name
        row = next((row for row in TABLE if row.sampler == name), None)
        if name not in self._loaded:
            self._loaded.add(name)
        elif row is not None and row.cost is not None:
            facts = facts_of(history, self.workers)
            ratio = seconds / row.cost(facts.results, facts.dimensions)
            before = self._factors.get(name, 1.0)
            self._factors[name] = before + 0.2 * (ratio - before)


def spoken(event: Event, identity: Identity) -> str | None:
    """A line that says what was chosen and why, if the event is a choice."""
    if not isinstance(event, Recorded) or event.topic != TOPIC:
        return None
    return f"scheduler {identity.scheduler.name}, sampler {event.data['sampler']}: {event.data['why']}"


def chooses(sampler: Spec) -> bool:
    """Whether a study with this sampler makes choices."""
    return sampler.name == "auto" or (sampler.name == "transfer" and sampler.settings.get("base") == "auto")


def facts_of(history: History, workers: int) -> Facts:
    """The facts, from the history alone but for the number of workers."""
    identity, space = history.identity, history.space
    resource = identity.resource
    rungs = 1
    while resource is not None and resource.minimum * identity.eta**rungs <= resource.maximum:
        rungs += 1
    return Facts(
        dimensions=sum(axis.count != 1 for axis in space.columns.axes),
        configurations=configurations(space),
        fidelities=rungs,
        goals=max(1, len(identity.goals)),
        noisy=identity.noisy,
        results=max((len(column) for column in history.results.values()), default=0),
        evaluations=history.limits.trials,
        seconds=_seconds(history),
        workers=workers,
    )


def _seconds(history: History) -> float | None:
    """What an evaluation takes: as declared, or the mean of the latest trials that have ended.

    A study that is to be the same elsewhere goes by what was declared alone.
    """
    declared = declared_cost(history)
    if declared is not None or history.identity.deterministic:
        return declared
    latest = range(len(history.values) - 1, max(-1, len(history.values) - 1 - RECENT), -1)
    ended = [
        history.seconds[trial]
        for trial in latest
        if trial not in history.running and trial not in history.apart
    ]
    return sum(ended) / len(ended) if ended else None
