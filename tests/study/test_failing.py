"""What a user hears of an objective with a mistake: its traceback, and an end before the budget is spent."""

import pytest

import rung
from rung.study.audit import audit
from rung.study.failing import ALIKE, FAILING

SPACE = {"x": rung.Float(0.0, 1.0)}


def broken(config):
    return config["lr"]


@pytest.mark.filterwarnings("ignore:study .* no trial has a value")
def test_a_study_ends_in_which_all_fail_alike_and_can_go_on_when_the_mistake_is_mended(tmp_path):
    place = {"storage": tmp_path / "rung.db", "study": "s", "sampler": "random", "quiet": True}
    result = rung.tune(broken, SPACE, trials=200, **place)
    assert (result.reason, result.best, len(result.trials)) == (FAILING, None, ALIKE)
    assert audit(result.events()).differences == ()
    with pytest.warns(UserWarning, match="the objective's code has changed"):
        result = rung.tune(lambda config: config["x"], SPACE, trials=200, **place)
    assert (result.reason, len(result.trials)) == (None, 200)
    assert result.best.value < 0.1


@pytest.mark.parametrize("trials_with_a_value", [{3}, {ALIKE - 1}])
def test_one_value_shows_that_it_is_the_configurations_fault(trials_with_a_value):
    def train(trial):
        return 1.0 if trial.number in trials_with_a_value else trial.config["lr"]

    result = rung.tune(train, SPACE, trials=ALIKE + 9, sampler="random", quiet=True)
    assert (result.reason, len(result.trials)) == (None, ALIKE + 9)


@pytest.mark.filterwarnings("ignore:study .* no trial has a value")
@pytest.mark.parametrize("kind", [rung.Infeasible, ValueError])
def test_infeasible_configurations_and_different_errors_do_not_end_it(kind):
    def train(trial):
        raise kind("too large" if kind is rung.Infeasible else f"{trial.config['x']} diverged")

    assert len(rung.tune(train, SPACE, trials=ALIKE + 9, sampler="random", quiet=True).trials) == ALIKE + 9


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_traceback_is_told_and_no_other(workers, capsys):
    with pytest.warns(UserWarning, match="3 of 3 failed with: KeyError: 'lr'"):
        rung.tune(broken, SPACE, trials=3, workers=workers, sampler="random")
    told = capsys.readouterr().err
    assert "failed with: KeyError: 'lr'\n  Traceback (most recent call last):\n" in told
    assert 'return config["lr"]' in told
    assert told.count("Traceback") == 1


def test_more_workers_than_a_machine_can_start_are_refused():
    with pytest.raises(rung.errors.StudyError, match="100000 workers would be as many processes"):
        rung.tune(broken, SPACE, trials=3, workers=100_000)


@pytest.mark.parametrize("raised", [RuntimeError("out of room"), rung.Infeasible("too slow")])
@pytest.mark.parametrize("scheduler", ["plain", "asha"])
def test_a_trial_that_raises_is_not_the_best_by_what_it_reported_before(scheduler, raised):
    def train(trial):
        low = trial.config["x"] < 0.4
        for epoch in range(trial.start, trial.resource):
            trial.report(epoch + 1, loss=-1.0 if low else trial.config["x"])
        if low:
            raise raised

    rungs = {"resource": ("epoch", 1, 4), "scheduler": scheduler}
    result = rung.tune(train, SPACE, trials=20, sampler="random", quiet=True, **rungs)
    assert any(record.value == -1.0 for record in result.trials)  # what it told is kept
    assert result.best.config["x"] >= 0.4
    assert result.best.state.value == "complete"
    assert audit(result.events()).differences == ()


@pytest.mark.parametrize("told", ["reported", "returned"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("scheduler", ["plain", "asha", "asha-stopping"])
def test_a_trial_that_ends_in_no_number_is_not_the_best_by_what_it_reported_before(scheduler, bad, told):
    """Under asha-stopping it is stopped for that at a gate on the way, too."""

    def train(trial):
        for epoch in range(trial.start + 1, trial.resource + 1):
            none = trial.config["x"] < 0.4 and epoch in (4, 16)
            if none and told == "returned" and epoch == trial.resource:
                return bad
            trial.report(epoch, loss=bad if none else trial.config["x"])
        return None

    rungs = {"resource": ("epoch", 1, 16), "scheduler": scheduler, "eta": 4}
    result = rung.tune(train, SPACE, trials=20, sampler="random", quiet=True, **rungs)
    beyond = [record for record in result.trials if len(record.observations) >= 3]
    ended = [record for record in beyond if record.config["x"] < 0.4 and record.state != "paused"]
    assert {record.state for record in ended} == {"stopped" if scheduler == "asha-stopping" else "failed"}
    assert result.best not in ended
    assert audit(result.events()).differences == ()
