"""Jobs that had told all when their study ended are finished; the others go on in the next session."""

import pytest

import rung
from rung.executors.simulated import SimulatedExecutor
from rung.study.endings import ending
from rung.trials.events import Failure, JobFailed, JobFinished, JobStarted, JobStopped, Reported

SPACE = {"x": rung.Float(0.0, 1.0)}


class Lingering:
    """Its one job tells its value at once, and neither ends nor stops; each poll takes a hundred seconds."""

    name, workers, virtual = "lingering", 1, True

    def __init__(self, reaches):
        self._reaches = reaches
        self._clock = 0.0
        self._job = None

    @property
    def free_slots(self):
        return int(self._job is None)

    def submit(self, jobs):
        (self._job,) = jobs

    def poll(self, timeout):
        self._clock += 100.0
        reported = Reported(0, self._reaches, {"loss": 0.5}, 0, self._clock)
        return [reported] if self._clock == 100.0 else []

    def cancel(self, trial):
        """As if it had not heard."""

    def now(self):
        return self._clock

    def close(self, *, grace=0.0):
        pass


def climbs(trial):
    for epoch in range(trial.start, trial.resource):
        trial.report(epoch + 1, loss=1.0 - epoch / 10)


@pytest.mark.parametrize(("reaches", "state"), [(3, "complete"), (2, "interrupted")])
def test_a_trial_at_its_full_resource_is_complete_when_the_time_is_up(reaches, state):
    settings = {"resource": ("epoch", 3, 3), "scheduler": "plain", "sampler": "random"}
    result = rung.tune(lambda config: 0.5, SPACE, budget=150.0, executor=Lingering(reaches), **settings)
    assert [trial.state for trial in result.trials] == [state]


def test_the_trial_that_reaches_the_target_at_its_end_is_complete():
    settings = {"resource": ("epoch", 3, 3), "scheduler": "plain", "sampler": "random"}
    result = rung.tune(climbs, SPACE, trials=5, target=0.8, **settings)
    assert [trial.state for trial in result.trials] == ["complete"]
    earlier = rung.tune(climbs, SPACE, trials=5, target=0.9, **settings)
    assert [trial.state for trial in earlier.trials] == ["interrupted"]


@pytest.fixture
def history():
    study = rung.Study(SPACE, resource=("epoch", 9, 9), scheduler="plain", sampler="random", trials=2)
    history = study.writer.history
    history.fold(JobStarted(0, 9, values=(0.5,), time=1.0))
    return history


def test_only_what_told_its_last_value_has_finished(history):
    stopped, killed = JobStopped(0, 0, 5.0), JobFailed(0, Failure.INTERRUPTED, "did not stop", 0, 5.0)
    history.fold(Reported(0, 8, {"loss": 0.2}, 0, 2.0))
    assert ending(history, stopped) is stopped
    history.fold(Reported(0, 9, {"loss": 0.1}, 0, 3.0))
    assert ending(history, stopped) == ending(history, killed) == JobFinished(0, 0, None, 5.0)
    for other in (
        JobStopped(0, 1, 5.0),
        JobStopped(1, 0, 5.0),
        JobFailed(0, Failure.LOST, "gone", 0, 5.0),
        JobFinished(0, 0, None, 5.0),
    ):
        assert ending(history, other) is other


def test_a_budget_that_is_spent_starts_nothing_more(tmp_path):
    """Each further session began a full set of jobs before it looked at the clock."""
    url = str(tmp_path / "studies.db")

    def session():
        executor = SimulatedExecutor(
            2, lambda config, trial, at: {"loss": 0.5}, lambda config, a, b, trial: 40.0
        )
        return rung.tune(
            lambda config: 0.5,
            SPACE,
            budget=100.0,
            executor=executor,
            storage=url,
            study="s",
            sampler="random",
        )

    first = len(session().trials)
    assert first >= 4
    assert [len(session().trials) for _ in range(3)] == [first] * 3


@pytest.mark.parametrize(("later", "count", "reason"), [(0.5, 6, None), (0.05, 4, "target")])
def test_a_target_that_is_left_again_as_the_jobs_stop_ends_nothing(later, count, reason):
    """The first jobs touch it at epoch 4, and tell worse at epoch 5, where they are to stop."""

    def curve(config, trial, epoch):
        if trial < 2:
            return {"loss": 0.09 if epoch == 4 else 0.5}
        return {"loss": later if epoch == 9 else 0.5}

    executor = SimulatedExecutor(2, curve, lambda config, a, b, trial: 20.0 * (b - a), reports="every")
    settings = {"resource": ("epoch", 1, 9), "scheduler": "plain", "sampler": "random"}
    result = rung.tune(lambda config: 0.5, SPACE, trials=6, target=0.1, executor=executor, **settings)
    assert [trial.state for trial in result.trials] == ["complete"] * count
    assert result.reason == reason
    assert (result.best.value, result.best.resource) == (later, 9)
