"""The history of a study: the fold of its log, and the only thing that policies read.

It keeps, as it folds, what every decision needs: configurations, results by fidelity, running jobs, counts.
The scheduler's and the sampler's own states are folds too (`Folding`), kept here and rebuilt by replaying.

Inside, everything is minimised. What can go wrong has one outcome each:

- A NaN, infinite or missing metric is the worst value, `inf`: at a job's end the trial has failed. One that
  failed or was stopped with it is never the incumbent, even by what it reported before.
- Metrics may be told one after the other. A report that lacks some of the study's waits for them: what is
  told later at the same resource (without one: in the same job) stands beside it, or in its place.
- A report at a resource that the trial has reached before (doubled, or told again after going back to a
  checkpoint) is ignored: the first counts, as it was acted on; metrics that make no result stand beside it.
  One beyond its job's `until` counts as one at `until`.
- What is told with a job's end stands in the place of what this very job reported there: no policy has been
  told of that yet, and it counts once.
- A report that skips gates counts at each of them.
- Whatever comes late, from a job that runs no more, is ignored; but a checkpoint is kept.
- A crash is a result of `inf` at the next gate, or at `until`; a trial whose objective raised is never the
  incumbent, even by what it reported before. A lost worker's job runs again, up to
  `Limits.retries` times for one job, and then counts as a crash. An interrupted one runs again, uncounted.
- A trial that its scheduler stops passes no more gates. If its job reaches its end all the same, that counts.
- A result that breaks a constraint counts behind all that break none, and is never the incumbent. For its
  sake finite values of `BEHIND` and more are compared as one just below it.
- Trials that no scheduler asked for (results that the user knew, repeats that confirm the incumbent) stand
  apart: no scheduler is told of them, and no limit on the number of trials counts them.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rung.space.values import Values
from rung.trials import events as ev
from rung.trials.checkpoints import digest_of
from rung.trials.codec import UNSOUND, damaged
from rung.trials.events import Event, Identity, JobStarted, Limits, Origin
from rung.trials.folding import HANDLERS
from rung.trials.running import BEHIND as BEHIND
from rung.trials.running import CONFIRM as CONFIRM
from rung.trials.running import ENQUEUED as ENQUEUED
from rung.trials.running import EXHAUSTED as EXHAUSTED
from rung.trials.running import MOST_CONFIRMED as MOST_CONFIRMED
from rung.trials.running import TOLD as TOLD
from rung.trials.running import WORST as WORST
from rung.trials.running import Best, Clock, Encoded, Measure, Metric, Searched, Yardstick
from rung.trials.running import Checkpoint as Checkpoint
from rung.trials.running import Column as Column
from rung.trials.running import Folding as Folding
from rung.trials.running import Incumbent as Incumbent
from rung.trials.running import Result as Result
from rung.trials.running import Running as Running
from rung.trials.standing import find_best
from rung.trials.states import TrialState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rung.space.compiled import CompiledSpace


class History:
    """The fold of one study's log.

    Args:
        scheduler, sampler: parts whose states to keep, if they are `Folding`.

    Attributes:
        values, origins, brackets, states: one entry a trial, in order of number.
        reached, latest: by trial, the largest resource reported, and the minimised value there.
        attempts: by trial, how often a job of it was started: what the next job's `attempt` must be, so that
            nothing told by an earlier job of the trial can be taken for the present one's.
        seconds: by trial, how long its jobs took, by the executor's clock; a running one's not yet.
        results: by resource, every result there (`Column`), failed ones as `inf`.
        apart: trials that no scheduler asked for, and which (`TOLD`, `CONFIRM`).
        confirmed: (trial number, resource) to the values, minimised, of its configuration's repeats there.
        outside: trials whose configuration is not in the space any more, since it was changed.
        raised: trials that are never the best, whatever they told on the way: their objective raised, or
            their last value was none.
        originals: these trials' configurations as they were.
        assumed: by trial, the names in its configuration that a change of the space added, and that no job of
            it has run with yet.
        fixed: parameters, by name, that new configurations have at a value that the user set.
        running: trial number to its running job.
        retry: jobs that must run again, oldest first (lost or interrupted ones); taken from the front.
        checkpoints: trial number to the latest one.
        previous: trial number to the one before, of trials whose job has not ended: should the latest be
            damaged, the trial goes back to it.
        borrowed: trial number to the checkpoint of another trial that it began from, until it has its own.
        starts: trial number to the resource at which it began, of those that began from another's checkpoint.
        best_checkpoint: the one that holds the incumbent's value: of a trial that went on and broke a
            constraint it is not the latest.
        scheduler, sampler: their states.
        devices: how many the running jobs have, all together.
        spent: total resource of all jobs started; a job that runs again is counted once, and one that its
            scheduler stopped as far as it came.
    """

    def __init__(self, scheduler: object = None, sampler: object = None) -> None:
        self._fold_scheduler: Any = scheduler if hasattr(scheduler, "fold") else None
        self._fold_sampler: Any = sampler if hasattr(sampler, "fold") else None
        self.scheduler: Any = None
        self.sampler: Any = None
        self.identity: Identity = None  # type: ignore[assignment]  # set by StudyCreated, always first
        self.limits = Limits()
        self.values: list[Values] = []
        self.origins: list[Origin] = []
        self.brackets: list[int] = []
        self.states: list[TrialState] = []
        self.reached = array("q")
        self.latest = array("d")
        self.attempts = array("q")
        self.seconds = array("d")
        self.apart: dict[int, str] = {}
        self.confirmed: dict[tuple[int, int], list[float]] = {}
        self.outside: set[int] = set()
        self.originals: dict[int, Mapping[str, Any]] = {}
        self.assumed: dict[int, frozenset[str]] = {}
        self.space_version = 0  # how often the space was changed
        self.fixed: Mapping[str, Any] = {}
        self.results: dict[int, Column] = {}
        self.running: dict[int, Running] = {}
        self.retry: deque[Running] = deque()
        self.enqueued: deque[Mapping[str, Any]] = deque()
        self.checkpoints: dict[int, Checkpoint] = {}
        self.previous: dict[int, Checkpoint] = {}
        self.borrowed: dict[int, str] = {}
        self.starts: dict[int, int] = {}
        self.best_checkpoint: Checkpoint | None = None
        self.records: dict[str, list[ev.Recorded]] = {}
        self.spent = 0
        self.devices = 0
        self.clock = Clock()
        self.stopping: str | None = None  # why no more jobs start in this session
        self.exhausted = False  # the sampler has no configuration left
        self.confirming = False  # only repeats of the incumbent's configuration start
        self.created = 0.0  # clock time of the study's beginning
        self.objective: str | None = None  # fingerprint of the code that ran last
        self.length = 0  # events folded
        self._metric = Metric()
        self._best = Best()
        self.raised = self._best.raised
        self._encoded = Encoded()
        self._lost: dict[int, int] = {}  # trial -> lost attempts of its present job
        self._largest = 1
        self._plain = True  # no resource
        self._needed: frozenset[str] = frozenset()  # metrics that make a result
        self._searched = Searched()
        self._yardstick: Yardstick | None = None  # of more than one metric
        self._measures: dict[int, Measure] = {}  # by trial, what its latest value was made from

    def __len__(self) -> int:
        """Trials started so far."""
        return len(self.values)

    @property
    def incumbent(self) -> Incumbent | None:
        """The best trial so far, if any has a value."""
        return self._best.incumbent

    @property
    def begun(self) -> int:
        """Trials that a scheduler started."""
        return len(self.values) - len(self.apart)

    @property
    def may_start(self) -> bool:
        """Whether one more configuration may be started (running jobs and promotions aside)."""
        limit = self.limits.trials
        return self.stopping is None and not self.exhausted and (limit is None or self.begun < limit)

    @property
    def space(self) -> CompiledSpace:
        """The space from which configurations come, compiled; `values` are configurations of it."""
        return self._searched.compiled(self.identity.space)

    def may_spend(self, cost: int) -> bool:
        """Whether a job of this cost still fits into the budget."""
        limit = self.limits.total_resource
        return limit is None or self.spent + cost <= limit

    def start_of(self, trial: int) -> int:
        """The resource from which the next job of `trial` would go on: its checkpoint's, or 0."""
        checkpoint = self.checkpoints.get(trial)
        return checkpoint.resource if checkpoint else 0

    def config(self, trial: int) -> dict[str, Any]:
        """The trial's configuration, a mapping of what is active; one that is outside keeps what it was."""
        original = self.originals.get(trial)
        if original is not None:
            return dict(original)
        return self._searched.naming(self.identity.space).to_mapping(self.values[trial])

    def violation(self, trial: int) -> float:
        """By how much the trial's latest value breaks the constraints; 0 if none, or it has no value."""
        measure = self._measures.get(trial)
        return 0.0 if measure is None or WORST in measure.vector else measure.violation

    def minimised(self, metrics: Mapping[str, Any] | None) -> float:
        """The study's metric among `metrics`, minimised; `inf` if it is missing or not a finite number."""
        return self._metric.minimised(metrics)

    def matrix(self, space: CompiledSpace) -> NDArray[np.float64]:
        """All configurations, encoded: (trials, dimensions) in the unit cube, NaN where inactive.

        Only what is new since the last call is encoded; the array is a view, not to be changed.
        """
        return self._encoded.matrix(space, self.values)

    def fold(self, event: Event) -> None:
        """Take one event in; events come in the order of the log."""
        HANDLERS[type(event)](self, event)
        self.length += 1

    def fold_all(self, events: Iterable[Event]) -> History:
        """Take many events in, and return this history.

        Raises:
            StorageError: they do not follow from each other, as events of a damaged log.
        """
        for event in events:
            try:
                self.fold(event)
            except UNSOUND as error:
                what = f"event {self.length} does not follow from those before it"
                raise damaged(f"{what} ({type(error).__name__}: {error})") from error
        return self

    def digest_of(self, job: JobStarted) -> str:
        """The digest of the checkpoint that a job starts from, its own or its parent's; "" if unknown.

        The job need not be folded yet.
        """
        return digest_of(self, job)

    # -- what the handlers below share ----------------------------------------------------------------

    def _answers(self, event: ev.Reported | ev.JobFinished | ev.JobFailed | ev.JobStopped) -> Running | None:
        """The running job that `event` speaks of, or None if it is late: of a job that runs no more."""
        self.clock.last = event.time
        running = self.running.get(event.trial)
        return running if running is not None and event.attempt == running.job.attempt else None

    def _observe(self, trial: int, resource: int, value: float) -> None:
        """The trial's first value at a larger resource than before."""
        if value >= BEHIND > self.latest[trial]:
            self._best.fell[trial] = self.reached[trial], self.latest[trial]
        self.reached[trial] = resource
        self.latest[trial] = value
        if self._yardstick is not None:
            self._best.keep(trial, resource, self._measures[trial])
        if (self.apart and self.apart.get(trial) == CONFIRM) or trial in self.outside:
            return
        before = self._best.incumbent
        self._best.consider(trial, resource, value, self._metric.sign)
        if self._best.incumbent is not before:
            latest = self.checkpoints.get(trial)
            if latest is not None and latest.resource <= resource:
                self.best_checkpoint = latest
            elif before is None or before.trial != trial:
                self.best_checkpoint = None

    def _value(self, trial: int, metrics: Mapping[str, Any] | None) -> float:
        """The value by which a trial's metrics are compared; what it was made from is kept."""
        if self._yardstick is None:
            return self._metric.compared(metrics)
        value, self._measures[trial] = self._yardstick.measure(metrics)
        return value

    def _final_value(self, running: Running, metrics: Mapping[str, Any] | None) -> float:
        """The value at the job's end: told there, else reported there, else (no resource) the last one."""
        trial, at = running.job.trial, 0 if self._plain else running.job.until
        if running.final is not None and (self._needed.isdisjoint(metrics or {}) or not running.joins(at)):
            return running.final
        told = running.beside(at, metrics or {})
        if self._needed.isdisjoint(told):
            return self.latest[trial] if self._plain else WORST
        return self._value(trial, told)

    def _never_best(self, trial: int) -> None:
        """The trial raised or came to no value: whatever it told before, nobody could train it to its end."""
        self._best.raised.add(trial)
        best = self._best.incumbent
        if best is not None and best.trial == trial:
            self._best_inside()

    def _best_inside(self) -> None:
        """Look for the incumbent anew among the trials whose configuration is in the space."""
        find_best(self)

    def _end(self, trial: int, state: TrialState) -> None:
        self._leave(trial)
        self.states[trial] = state
        if self.previous:
            self.previous.pop(trial, None)
        if self._lost:
            self._lost.pop(trial, None)

    def _leave(self, trial: int) -> None:
        """The trial's job runs no more, whatever comes of it."""
        job = self.running.pop(trial).job
        self.devices -= job.devices
        if self.borrowed:
            self.borrowed.pop(trial, None)
        self.seconds[trial] += max(0.0, self.clock.last - job.time)
        self.clock.job_ended(last=not self.running)

    def _run_again(self, running: Running) -> None:
        self._leave(running.job.trial)
        self.states[running.job.trial] = TrialState.INTERRUPTED
        self.retry.append(running)

    def _result(self, trial: int, resource: int, value: float, ended: bool) -> None:
        if self.apart and self.apart.get(trial) == CONFIRM:
            self.confirmed.setdefault((self.origins[trial].parent or 0, resource), []).append(value)
            return
        column = self.results.get(resource)
        if column is None:
            column = self.results[resource] = Column()
        column.trials.append(trial)
        column.values.append(value)
        column.costs.append(self._cost(trial, resource))
        measure = None
        if self._yardstick is not None:
            failed = value == WORST or trial not in self._measures
            measure = self._yardstick.failed if failed else self._measures[trial]
            column.measures.append(measure)
            if resource == self.reached[trial]:  # a job's end may have told other objectives than its report
                self._best.keep(trial, resource, measure)
        self._tell(Result(trial, resource, value, self.brackets[trial], ended, measure))

    def _cost(self, trial: int, resource: int) -> float:
        """Seconds that the trial's jobs have taken; the resource, in a study that is the same elsewhere."""
        if self.identity.deterministic:
            return float(resource)
        running = self.running.get(trial)
        under_way = self.clock.last - running.job.time if running is not None else 0.0
        return self.seconds[trial] + max(0.0, under_way)

    def _tell(self, item: JobStarted | Result) -> None:
        told = self._fold_scheduler is not None and (not self.apart or item.trial not in self.apart)
        if told:
            self.scheduler = self._fold_scheduler.fold(self.scheduler, item)
        if self._fold_sampler is not None:
            self.sampler = self._fold_sampler.fold(self.sampler, item)
