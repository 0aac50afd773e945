"""`tune`, end to end, in line and on local workers."""

import math
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest

import rung
from rung.errors import SpaceError, StudyError, UserError
from rung.executors.simulated import SimulatedExecutor
from rung.space import Forbidden, Is, Space
from rung.storage import open_storage

SPACE = {
    "lr": rung.Float(1e-5, 1e-1, log=True),
    "layers": rung.Integer(1, 8),
    "optimizer": rung.Choice({"sgd": {"momentum": rung.Float(0.0, 0.99)}, "adam": {}}),
}


def loss(config):
    return (math.log10(config["lr"]) + 3) ** 2 + abs(config["layers"] - 4) + config.get("momentum", 0.5)


def test_a_plain_function_of_the_configuration():
    result = rung.tune(loss, SPACE, trials=30, seed=1)
    assert len(result.trials) == 30
    assert result.best.value == min(trial.value for trial in result.trials)
    assert result.best.value == loss(result.best.config)
    assert [o.resource for o in result.best.observations] == [None]
    assert len(result.to_frame()) == 30


def test_a_function_of_configuration_and_budget():
    budgets = []

    def train(config, budget):
        budgets.append(budget)
        return {"loss": loss(config) + 1 / budget, "size": 3}

    result = rung.tune(train, SPACE, resource=("epoch", 1, 27), sampler="random", trials=27)
    assert sorted(set(budgets)) == [1, 3, 9, 27]
    assert budgets.count(1) == 27
    assert budgets.count(27) == 1
    assert result.best.resource == 27


def test_without_a_resource_the_budget_is_none():
    seen = []
    rung.tune(lambda config, budget: seen.append(budget) or 1.0, SPACE, trials=2)
    assert seen == [None, None]


def test_mode_max_and_another_metric():
    result = rung.tune(
        lambda config: {"accuracy": -loss(config)}, SPACE, metric="accuracy", mode="max", trials=20
    )
    assert result.best.value == max(trial.value for trial in result.trials)


def test_total_resource_is_never_exceeded():
    study = rung.Study(SPACE, resource=("epoch", 1, 27), sampler="random", total_resource=100)
    result = study.run(lambda config, budget: loss(config) + 1 / budget)
    assert 100 - 27 < study.history.spent <= 100  # the next job, to 27 at most, did not fit
    assert result.best is not None


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_an_objective_that_cannot_be_stopped_by_its_reports_is_noticed(executor):
    settings = {"resource": ("epoch", 1, 9), "scheduler": "asha-stopping", "sampler": "random", "trials": 2}
    with pytest.warns(UserWarning, match="every trial runs to the end"):
        result = rung.tune(lambda config, budget: loss(config), SPACE, executor=executor, **settings)
    assert {trial.resource for trial in result.trials} == {9}
    rung.tune(lambda config, budget: loss(config), SPACE, executor="simulated", **settings)
    rung.tune(lambda trial: loss(trial.config), SPACE, **settings)


def test_target_ends_the_search():
    result = rung.tune(loss, SPACE, target=3.0, trials=5000, sampler="random")
    assert result.best.value <= 3.0
    assert len(result.trials) < 5000
    assert result.reason == "target"


def test_a_grid_ends_by_itself():
    result = rung.tune(
        lambda config: config["a"] * 1.0,
        {"a": rung.Ordinal([1, 2, 3]), "b": rung.Categorical(["u", "v"])},
        sampler="grid",
        trials=100,
    )
    assert len(result.trials) == 6


def test_a_budget_is_asked_for():
    with pytest.raises(StudyError, match="never end"):
        rung.tune(loss, SPACE)


@pytest.mark.parametrize("budget", ["-5", "0", "soon", "5x", -1, float("nan")])
def test_a_budget_that_is_no_time(budget):
    with pytest.raises(UserError):
        rung.tune(loss, SPACE, budget=budget)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"seed": 2**63}, "seed 9223372036854775808 is too large"),
        ({"seed": 1.5}, "seed 1.5 is no whole number"),
        ({"resource": ("", 1, 9)}, "'' is no name, such as epoch"),
        ({"resource": (1, 2, 3)}, "1 is no name, such as epoch"),
        ({"workers": 1.5}, "workers must be a whole number of at least 1, not 1.5"),
        ({"workers": "2"}, "workers must be a whole number of at least 1, not '2'"),
        ({"workers": 0}, "workers must be a whole number of at least 1, not 0"),
        ({"trials": np.float64(2.5)}, "trials must be a whole number of at least 1, not 2.5"),
        ({"trials": 10**30}, "trials may be 9007199254740992 at most"),
        ({"resource": ("epoch", 1, 10**30)}, "the largest may be 9007199254740992 at most"),
        ({"checkpoint_limit": -1}, "checkpoint_limit must be a whole number of at least 0, not -1"),
        ({"task": 3}, "task must be a mapping, not 3"),
        ({"task": {"a": object}}, "the log cannot keep"),
        ({"noisy": "a"}, "noisy must be True or False, not 'a'"),
        ({"quiet": "no"}, "quiet must be True or False, not 'no'"),
        ({"eta": 10**30}, "is too large: one in eta trials is promoted"),
    ],
)
def test_a_setting_that_makes_no_sense(settings, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        rung.tune(loss, SPACE, **{"trials": 3, **settings})


def test_numbers_of_numpy_are_numbers():
    settings = {"trials": np.int64(4), "seed": np.int32(7), "eta": np.int64(3), "workers": np.int64(1)}
    ours = rung.tune(loss, SPACE, trials=4, seed=7)
    assert [t.config for t in rung.tune(loss, SPACE, **settings).trials] == [t.config for t in ours.trials]


@pytest.mark.parametrize("objective", [3, lambda: 1.0, lambda config, budget, more: 1.0])
def test_an_objective_that_cannot_be_called_writes_nothing(tmp_path, objective):
    with pytest.raises(StudyError, match="the objective"):
        rung.tune(objective, SPACE, trials=3, storage=str(tmp_path / "s.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["trials", "total_resource"])
@pytest.mark.parametrize("value", [0, -1, 2.5, math.inf, math.nan, True, "3"])
def test_a_count_that_is_no_whole_number(name, value):
    with pytest.raises(UserError, match=f"{name} must be a whole number of at least 1"):
        rung.tune(loss, SPACE, **{name: value})


@pytest.mark.parametrize("high", [math.inf, math.nan, 2.5, "many", None])
def test_a_resource_that_is_not_whole(high):
    with pytest.raises(StudyError, match="is no whole number; count in smaller units"):
        rung.tune(loss, SPACE, resource=("epoch", 1, high), trials=1)


def test_failures_are_recorded_and_the_search_goes_on():
    def train(trial):
        if trial.number % 4 == 0:
            raise ValueError("no luck")
        if trial.number % 4 == 1:
            raise rung.Infeasible("too large")
        if trial.number % 4 == 2:
            return None
        return loss(trial.config)

    result = rung.tune(train, SPACE, trials=8)
    assert [str(trial.state) for trial in result.trials] == ["failed", "infeasible", "failed", "complete"] * 2
    assert "no luck" in result.trials[0].timing.message
    assert result.best.number in (3, 7)


def test_calling_again_resumes_and_extends(tmp_path):
    calls = []

    def train(config):
        calls.append(1)
        return loss(config)

    settings = {"storage": str(tmp_path / "s.db"), "study": "s", "sampler": "random"}
    first = rung.tune(train, SPACE, trials=5, **settings)
    again = rung.tune(train, SPACE, trials=5, **settings)
    assert len(calls) == 5
    assert [t.config for t in again.trials] == [t.config for t in first.trials]
    more = rung.tune(train, SPACE, trials=8, **settings)
    assert len(calls) == 8
    assert [t.config for t in more.trials][:5] == [t.config for t in first.trials]


def test_changed_code_is_noticed_and_recorded(tmp_path):
    settings = {"storage": str(tmp_path / "s.db"), "study": "s", "sampler": "random"}
    rung.tune(lambda config: 1.0, SPACE, trials=1, **settings)
    with pytest.warns(UserWarning, match="code has changed"):
        result = rung.tune(lambda config: 2.0, SPACE, trials=2, **settings)
    assert [t.value for t in result.trials] == [1.0, 2.0]


def test_checkpoints_carry_trials_up_and_the_incumbents_is_kept(tmp_path):
    starts = []

    def train(trial):
        starts.append((trial.start, trial.resource))
        total = 0 if trial.checkpoint is None else int((Path(trial.checkpoint) / "n").read_text())
        assert total == trial.start
        for epoch in range(trial.start, trial.resource):
            total += 1

            def save(folder, total=total):
                (Path(folder) / "n").write_text(str(total))

            trial.report(epoch + 1, loss=loss(trial.config) + 1 / (epoch + 1), save=save)

    study = rung.Study(
        SPACE,
        resource=("epoch", 1, 9),
        sampler="random",
        scheduler="hyperband",
        trials=17,
        storage=str(tmp_path / "s.db"),
    )
    result = study.run(train)
    assert {(0, 1), (1, 3), (3, 9)} <= set(starts)
    assert study.history.spent == sum(until - start for start, until in starts)
    assert (Path(result.best.checkpoint) / "n").read_text() == "9"
    left = list(study.folder.glob("trial-*/resource-*"))
    assert [str(path) for path in left] == [result.best.checkpoint]
    study.close()


def test_two_local_workers_give_the_same_trials():
    inline = rung.tune(loss, SPACE, trials=12, sampler="random")
    local = rung.tune(loss, SPACE, trials=12, sampler="random", workers=2)
    assert [t.config for t in local.trials] == [t.config for t in inline.trials]
    assert [t.value for t in local.trials] == [t.value for t in inline.trials]


def test_a_request_pauses_the_study(tmp_path):
    url = str(tmp_path / "s.db")
    storage = open_storage(url)

    def train(trial):
        if trial.number == 2:
            open_storage(url).request("s", "pause", {})
        time.sleep(0.6)  # the loop looks for requests twice a second
        trial.report(loss=1.0)

    result = rung.tune(train, SPACE, trials=50, storage=storage, study="s", sampler="random")
    assert result.reason == "paused"
    assert len(result.trials) < 10


def test_a_space_of_configspace():
    configspace = pytest.importorskip("ConfigSpace")
    theirs = configspace.ConfigurationSpace({"x": (0.0, 1.0), "kind": ["a", "b"]})
    result = rung.tune(lambda config: config["x"], theirs, sampler="random", trials=3)
    assert all(set(trial.config) == {"x", "kind"} for trial in result.trials)


@pytest.mark.parametrize("url", ["memory", "s.db"])
def test_a_study_may_be_renamed_while_it_runs(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    storage = open_storage(url)

    def train(trial):
        if trial.number == 1:
            storage.rename("s", "other")
        return loss(trial.config)

    result = rung.tune(train, SPACE, trials=3, storage=storage, study="s", sampler="random")
    assert len(result.trials) == 3
    assert result.best.value == min(trial.value for trial in result.trials)
    assert [row.name for row in storage.list()] == ["other"]
    storage.close()


def test_a_search_without_a_value_says_why():
    def train(config):
        raise ValueError("no luck")

    with pytest.warns(UserWarning, match="3 of 3 failed with: ValueError: no luck"):
        result = rung.tune(train, SPACE, trials=3)
    assert result.best is None


def test_what_the_inline_executor_cannot_keep():
    with pytest.raises(StudyError, match="one job at a time"):
        rung.tune(loss, SPACE, trials=3, workers=2, executor="inline")
    with pytest.raises(StudyError, match="memory"):
        rung.tune(loss, SPACE, trials=3, trial_memory=2**30, executor="inline")
    with pytest.raises(StudyError, match="'local' with trial_time"):
        rung.tune(loss, SPACE, trials=3, trial_time=60, executor="inline")
    found = rung.tune(
        lambda trial: trial.report(1, loss=1.0), SPACE, trials=1, trial_time=60, executor="inline"
    )
    assert found.best.value == 1.0


@pytest.mark.parametrize("limit", [{"trial_time": 60}, {"trial_memory": 2**33}])
def test_one_worker_runs_in_a_process_of_its_own_where_a_job_has_a_limit(limit):
    found = rung.tune(lambda config: float(os.getpid()), SPACE, trials=1, quiet=True, **limit)
    assert found.best.value != os.getpid()


def test_a_study_may_be_run_to_another_end():
    study = rung.Study(SPACE, sampler="random", trials=2, retries=1, trial_memory=2**33)
    before = study.history.limits
    assert len(study.run(loss).trials) == 2
    assert study.history.limits == before
    assert len(study.run(loss, trials=4).trials) == 4
    assert study.run(loss, target=1e9).reason == "target"
    assert (study.history.limits.trials, study.history.limits.target) == (None, 1e9)
    assert (study.history.limits.retries, study.history.limits.trial_memory) == (1, 2**33)
    with pytest.raises(UserError, match="trials must be"):
        study.run(loss, trials=0)


def test_the_end_of_the_total_resource_is_the_reason():
    with rung.Study(SPACE, resource=("epoch", 1, 9), total_resource=5) as study:
        assert study.run(lambda config, budget: 1.0).reason == "total_resource"
        assert list(study.events())[-1].reason == "total_resource"  # which its report says


def test_a_virtual_year_takes_as_many_polls_as_there_are_jobs():
    polls = []

    class Counting(SimulatedExecutor):
        def poll(self, timeout):
            polls.append(timeout)
            return super().poll(timeout)

    year = 365 * 86400.0
    executor = Counting(4, lambda config, trial, resource: {"loss": 1.0}, lambda *job: year / 20)
    study = rung.Study(SPACE, sampler="random", budget=year)
    study.run(loss, executor=executor)
    assert len(study.history) >= 80
    assert len(polls) <= 2 * len(study.history)


def test_what_an_executor_takes_to_start_is_in_the_budget(monkeypatch):
    """As a cluster does: the user waits for it."""
    from rung.study import run as loop

    def slowly(name, setup):
        time.sleep(0.3)
        return make(name, setup)

    make = loop.make_executor
    monkeypatch.setattr(loop, "make_executor", slowly)
    result = rung.tune(loss, SPACE, trials=1000, budget=0.2, seed=1)
    assert len(result.trials) <= 1, "the time was up before the first could be told"


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"y": rung.Float(0, 1), "x": rung.Float(0, 2)}, r"were in another order: x, y\)"),
        ({"x": rung.Float(0, 3), "y": rung.Float(0, 1)}, r"\(space.parameters.x.high was 2.0, now 3.0\)"),
        ({"x": rung.Float(0, 2)}, "parameters.y was .*, now absent.*rung extend s --space FILE"),
        ({"x": rung.Float(0, 2), "y": rung.Categorical(range(999))}, "values was absent, now .{1,121}…"),
    ],
)
def test_another_space_is_told_by_its_parameters(space, said, tmp_path):
    place = {"storage": tmp_path / "s.db", "study": "s"}
    rung.Study({"x": rung.Float(0, 2), "y": rung.Float(0, 1)}, **place).close()
    with pytest.raises(StudyError, match=said):
        rung.Study(space, **place)


@pytest.mark.parametrize("name", ["", " ", 3])
def test_a_name_that_is_none_is_refused(name):
    """An empty one is a shell's variable that was never set."""
    with pytest.raises(StudyError, match="study must be a name"):
        rung.tune(loss, SPACE, trials=1, study=name)


@pytest.mark.parametrize("sampler", [None, "random", "grid"])
def test_a_space_without_any_configuration_is_refused(tmp_path, sampler):
    space = Space({"a": rung.Categorical([1, 2])}, forbidden=[Forbidden(Is("a", one_of=[1, 2]))])
    with pytest.raises(SpaceError, match="leave no configuration at all"):
        rung.tune(loss, space, trials=3, sampler=sampler, storage=tmp_path / "rung.db")
    assert open_storage(str(tmp_path / "rung.db")).list() == []


def test_a_space_of_which_nothing_can_be_drawn_leaves_no_study(tmp_path):
    space = Space({"x": rung.Float(0, 1)}, forbidden=[Forbidden(Is("x", greater=0.0))])
    with pytest.raises(SpaceError, match="leave almost nothing"):
        rung.tune(loss, space, trials=3, storage=tmp_path / "rung.db")
    assert open_storage(str(tmp_path / "rung.db")).list() == []


@pytest.mark.parametrize("text", ["true --lr {lrr}", "true --lr {lr:.3f}", "true --lr {lr"])
def test_a_command_that_does_not_fit_the_space_starts_nothing(tmp_path, text):
    given = {"trials": 2, "storage": tmp_path / "s.db", "study": "s"}
    with pytest.raises(StudyError, match=re.escape("the command has {lr")):
        rung.tune(rung.Command(text), SPACE, **given)
    with rung.Study(SPACE, **given) as study:
        with pytest.raises(StudyError, match=re.escape("the command has {lr")):
            study.run(rung.Command(text))
        assert not study.result.trials


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("resource", [None, ("epoch", 1, 4)])
def test_a_finite_value_is_a_result_however_large_it_is(mode, resource):
    """Only values that break a constraint stand behind all others."""
    sign = 1 if mode == "min" else -1
    values = [sign * 1e308, sign * 1e305, sign * math.inf]
    settings = {"mode": mode, "resource": resource, "scheduler": "plain"}
    assert rung.tune(lambda trial: values[trial.number], SPACE, trials=1, **settings).best.number == 0
    result = rung.tune(lambda trial: values[trial.number], SPACE, trials=3, **settings)
    assert (result.best.number, result.best.value) == (1, sign * 1e305)
    assert [str(trial.state) for trial in result.trials] == ["complete", "complete", "failed"]
