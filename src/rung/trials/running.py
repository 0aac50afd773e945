"""The parts of a history: results by fidelity, jobs under way, incumbent, clock, encoded configurations."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rung.space.values import Values
from rung.trials.events import Goal, Identity, JobStarted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rung.space.compiled import CompiledSpace
    from rung.space.naming import Naming

ENQUEUED = "enqueued"  # the origin of a configuration that the user gave
TOLD = "told"  # the origin of one whose result the user knew
CONFIRM = "confirm"  # the origin of a repeat of the incumbent's; also why only such repeats still start
MOST_CONFIRMED = 5  # configurations, at most, that are evaluated again before one is declared
EXHAUSTED = "exhausted"  # the sampler has no configuration left
WORST = math.inf
BEHIND = 1e306  # values from here on are those of results that break a constraint: behind all others
_LAST = BEHIND * (1 - 1e-9)  # of values that break none: larger ones are compared as this


class Measure(NamedTuple):
    """What a study with several objectives or constraints keeps of a result, beside its value.

    Attributes:
        vector: all objectives, minimised; `inf` in each if one of them is no finite number.
        violation: by how much the constraints are broken, each relative to its bound; 0.0 if all are kept.
    """

    vector: tuple[float, ...]
    violation: float


class Result(NamedTuple):
    """A trial's value (minimised; `inf` where it has none) at a rung: at a gate, or where its job ended.

    `ended` tells that the job had ended by then, so that it can be stopped no more. A result that breaks a
    constraint has a value of `BEHIND` or more, so that it counts as worse than any that breaks none.
    """

    trial: int
    resource: int
    value: float
    bracket: int
    ended: bool = False
    measure: Measure | None = None


class Checkpoint(NamedTuple):
    resource: int
    path: str
    size: int = 0  # bytes; 0 where unknown
    digest: str = ""


class Incumbent(NamedTuple):
    """The best trial at the largest resource that any trial reached; `value` in the metric's own sense."""

    trial: int
    resource: int
    value: float


class Standing(NamedTuple):
    """What a trial may be the best by: its last result that is sound and keeps the constraints.

    Attributes:
        resource: where it was.
        value: minimised.
        vector: all objectives, minimised; empty in a study with one.
    """

    resource: int
    value: float
    vector: tuple[float, ...] = ()


class Folding(Protocol):
    """A policy part with a state of its own: a function of the log, kept by the history.

    `fold` is told each job that starts (once, however often it runs again) and each result, in the order of
    the log; a scheduler also each trial that it stops. It may change `state` in place, and returns it.
    """

    def initial(self, identity: Identity) -> Any: ...

    def fold(self, state: Any, item: Any) -> Any: ...


class Column:
    """Results at one fidelity, in the order they came.

    Attributes:
        trials, values: trial numbers and minimised values, see `Result`.
        costs: seconds that the trial's jobs had taken by then.
        measures: in a study with several objectives or constraints, else empty.
    """

    __slots__ = ("costs", "measures", "trials", "values")

    def __init__(self) -> None:
        self.trials = array("q")
        self.values = array("d")
        self.costs = array("d")
        self.measures: list[Measure] = []

    def __len__(self) -> int:
        return len(self.trials)


class Running:
    """A job under way, and how far it has come."""

    __slots__ = ("_at", "_told", "before", "final", "job", "passed", "stopping")

    def __init__(self, job: JobStarted, earlier: Running | None = None) -> None:
        self.job = job
        self.passed: int = earlier.passed if earlier else 0  # gates behind it
        # the value of the first report at or past `until`
        self.final: float | None = earlier.final if earlier else None
        # what the trial had reached before that report, and its value there
        self.before: tuple[int, float] = (0, WORST)
        self.stopping = False  # its scheduler stops it for good
        self._at = 0  # resource of the latest report, and all metrics that were told there
        self._told: Mapping[str, Any] = {}

    def beside(self, resource: int, metrics: Mapping[str, Any]) -> Mapping[str, Any]:
        """These metrics, and what was told at the same resource before."""
        return {**self._told, **metrics} if self._told and resource == self._at else metrics

    def tell(self, resource: int, metrics: Mapping[str, Any]) -> Mapping[str, Any]:
        """The same, and it is kept."""
        self._told = self.beside(resource, metrics)
        self._at = resource
        return self._told

    def joins(self, resource: int) -> bool:
        """Whether what is told at this resource is more of this job's latest result."""
        return resource == self._at

    @property
    def next_gate(self) -> int:
        """The resource of the result that comes next."""
        job = self.job
        return job.gates[self.passed] if self.passed < len(job.gates) else job.until


class Clock:
    """Wall time spent running, over all sessions; a session that died ends with its last event.

    Of a session whose jobs wait for others' slots, only the time counts in which at least one of them runs.
    """

    __slots__ = ("_by_jobs", "began", "last", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.began: float | None = None
        self.last = 0.0
        self._by_jobs = False

    def start(self, time: float, *, by_jobs: bool = False, running: bool = False) -> None:
        """A session begins; by its jobs, if only while these are `running` its time counts."""
        self.stop(self.last)
        self.last, self._by_jobs = time, by_jobs
        if running or not by_jobs:
            self.began = time

    def stop(self, time: float) -> None:
        """The session ends."""
        self._hold(time)
        self._by_jobs = False

    def job_started(self, time: float) -> None:
        self.last = time
        if self._by_jobs and self.began is None:
            self.began = time

    def job_ended(self, *, last: bool) -> None:
        """A job has ended with the latest event, the `last` of those that ran."""
        if last and self._by_jobs:
            self._hold(self.last)

    def _hold(self, time: float) -> None:
        if self.began is not None:
            self.seconds += max(0.0, time - self.began)
            self.began = None

    def spent(self, now: float) -> float:
        """Seconds spent running at clock time `now`."""
        return self.seconds + (max(0.0, now - self.began) if self.began is not None else 0.0)

    def known(self) -> float:
        """Seconds spent running as far as the log says: those of a session that died are among them."""
        return self.spent(self.last)


def _real(value: object) -> float:
    """A number as a float; `inf` of either sign is as bad as what is no number at all."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return WORST
    try:
        return float(value)
    except OverflowError:  # a whole number larger than any float
        return WORST


class Metric:
    """The metric that a study is about, turned so that smaller is better."""

    __slots__ = ("name", "sign")

    def __init__(self, name: str = "", mode: str = "min") -> None:
        self.name = name
        self.sign = -1.0 if mode == "max" else 1.0

    def minimised(self, metrics: Mapping[str, Any] | None) -> float:
        """This metric's value, minimised; `inf` if it is missing or not a finite number."""
        value = None if metrics is None else metrics.get(self.name)
        if type(value) is not float:
            value = _real(value)
        value = self.sign * value
        return value if -math.inf < value < math.inf else WORST

    def compared(self, metrics: Mapping[str, Any] | None) -> float:
        """The same as results are compared by it: a finite number, however large, breaks no constraint."""
        value = self.minimised(metrics)
        return value if value < BEHIND or value == WORST else _LAST


def needed(identity: Identity) -> frozenset[str]:
    """The metrics that a result is made from: the objectives and what the constraints are about."""
    objectives = {goal.metric for goal in identity.goals} or {identity.metric}
    return frozenset(objectives | {each.metric for each in identity.constraints})


def unneeded(identity: Identity, metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the metrics that make no result: they may still be told where there is one."""
    return {name: value for name, value in metrics.items() if name not in needed(identity)}


class Yardstick:
    """The objectives and constraints of a study that has more than one metric."""

    __slots__ = ("_constraints", "_goals", "failed")

    def __init__(self, identity: Identity) -> None:
        goals = identity.goals or (Goal(identity.metric, identity.mode),)
        self._goals = tuple(Metric(goal.metric, goal.mode) for goal in goals)
        self._constraints = tuple(
            (Metric(each.metric, "min" if each.sense == "<=" else "max"), each.bound)
            for each in identity.constraints
        )
        self.failed = Measure((WORST,) * len(goals), WORST)  # of a result that is none

    def measure(self, metrics: Mapping[str, Any] | None) -> tuple[float, Measure]:
        """The value by which results are compared, and all that it was made from."""
        vector = tuple(goal.minimised(metrics) for goal in self._goals)
        if WORST in vector:
            return WORST, self.failed
        violation = sum(self._excess(metric, bound, metrics) for metric, bound in self._constraints)
        if violation > 0.0:
            return behind(violation), Measure(vector, violation)
        return min(vector[0], _LAST), Measure(vector, 0.0)

    @staticmethod
    def _excess(metric: Metric, bound: float, metrics: Mapping[str, Any] | None) -> float:
        """How far beyond the bound, relative to its size; `inf` if the metric is no finite number."""
        excess = metric.minimised(metrics) - metric.sign * bound
        return max(0.0, excess) / (abs(bound) or 1.0)


def behind(violation: float) -> float:
    """The value of a result that breaks constraints by `violation`: behind all others, least broken first."""
    return BEHIND * (2.0 - 1.0 / (1.0 + violation))


class Best:
    """The search for the incumbent: a larger resource first, then the smaller value, then the older trial.

    Attributes:
        raised: trials whose objective raised, by an error or as infeasible, or whose last value was none.
        fell: by trial, the resource and the value before those that are none, or break a constraint.
        vectors: by trial, resource to objectives of its last two sound results: the last may be taken back.
    """

    __slots__ = ("fell", "incumbent", "raised", "value", "vectors")

    def __init__(self) -> None:
        self.raised: set[int] = set()
        self.fell: dict[int, tuple[int, float]] = {}
        self.vectors: dict[int, dict[int, tuple[float, ...]]] = {}
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the incumbent, and nothing of what makes it."""
        self.incumbent: Incumbent | None = None
        self.value = WORST  # of the incumbent, minimised

    def keep(self, trial: int, resource: int, measure: Measure) -> None:
        """The objectives of a result, if it is sound and there are several."""
        if measure.violation > 0.0 or len(measure.vector) < 2:
            return
        kept = self.vectors.setdefault(trial, {})
        kept[resource] = measure.vector
        if len(kept) > 2:
            del kept[min(kept)]

    def standing(self, trial: int, resource: int, value: float) -> Standing | None:
        """What the trial may be the best by, where these are its latest; None if it raised or has nothing."""
        if value >= BEHIND:
            resource, value = self.fell.get(trial, (0, WORST))
        if resource == 0 or trial in self.raised:
            return None
        return Standing(resource, value, self.vectors.get(trial, {}).get(resource, ()))

    def consider(self, trial: int, resource: int, value: float, sign: float) -> None:
        """Take `trial` if it is better; one that raised, failed or breaks a constraint never is."""
        if value >= BEHIND or trial in self.raised:
            return
        best = self.incumbent
        if best is not None:
            if resource < best.resource:
                return
            if resource == best.resource and (value, trial) >= (self.value, best.trial):
                return
        self.value = value
        self.incumbent = Incumbent(trial, resource, sign * value)


class Searched:
    """The space that configurations come from: compiled, and its names alone, each when first asked for.

    Whoever only shows configurations needs no compiled space, and no arrays.
    """

    __slots__ = ("_compiled", "_naming")

    def __init__(self) -> None:
        self._compiled: CompiledSpace | None = None
        self._naming: Naming | None = None

    def compiled(self, space: Mapping[str, Any]) -> CompiledSpace:
        """`space`, the JSON form that the log has: the same one at every call."""
        if self._compiled is None:
            from rung.space import compile_space, from_json

            self._compiled = compile_space(from_json(space))
        return self._compiled

    def naming(self, space: Mapping[str, Any]) -> Naming:
        """Its parameters' names."""
        if self._naming is None:
            from rung.space.naming import naming_of

            self._naming = naming_of(space) if self._compiled is None else self._compiled.naming
        return self._naming


class Encoded:
    """All configurations as rows of the unit cube; each is encoded once."""

    __slots__ = ("_array", "_rows")

    def __init__(self) -> None:
        self._array: NDArray[np.float64] | None = None
        self._rows = 0

    def matrix(self, space: CompiledSpace, values: Sequence[Values]) -> NDArray[np.float64]:
        """The rows of `values`, of which those already seen are taken from the last call: (n, d)."""
        import numpy as np  # readers of a log that only look need no arrays

        known, wanted = self._array, len(values)
        if known is None or len(known) < wanted:
            grown = np.empty((max(64, 2 * wanted), space.size))
            if known is not None:
                grown[: self._rows] = known[: self._rows]
            known = self._array = grown
        if self._rows < wanted:
            known[self._rows : wanted] = space.encode(list(values[self._rows : wanted]))
            self._rows = wanted
        return known[:wanted]
