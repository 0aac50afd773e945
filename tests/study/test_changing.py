"""What a user changes in a study under way: known results, another space; all of it in the log."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

import rung
from rung.errors import SpaceError, StudyError
from rung.space import compile_space
from rung.space.changes import completed, reread
from rung.space.domains import Space
from rung.space.rules import Condition
from rung.storage import open_storage
from rung.study.audit import audit
from rung.study.study import Study
from rung.trials import events as ev
from rung.trials.history import History, Incumbent
from rung.trials.states import TrialState

SPACE = {"x": rung.Float(0, 1), "n": rung.Integer(1, 9)}


def again(study: Study) -> History:
    """The history that the study's log gives."""
    return History(study.writer.scheduler, study.writer._sampler).fold_all(study.events())


# -- known results ------------------------------------------------------------------------------------


def test_a_known_result_is_a_trial_that_no_limit_counts():
    with rung.Study(SPACE, trials=2, sampler="random") as study:
        study.tell({"x": 0.25, "n": 3}, 0.125)
        assert study.history.incumbent == Incumbent(0, 1, 0.125)
        assert study.history.states == [TrialState.COMPLETE]
        jobs = [study.ask(), study.ask()]
        assert [job.number for job in jobs] == [1, 2]
        assert study.ask() is None


def test_a_known_result_is_in_the_list_of_studies(tmp_path):
    """Told after the study's end, nothing comes that would write its line in the list once more."""
    store = open_storage(tmp_path / "s.db")
    rung.tune(lambda config: config["x"], SPACE, trials=2, storage=store, study="s", sampler="random")
    with Study.open(store, "s") as study:
        study.tell({"x": 0.25, "n": 3}, -1.0)
    (row,) = store.list()
    store.close()
    assert (row.summary.trials, row.summary.finished, row.summary.best) == (3, 3, -1.0)


def test_a_known_result_teaches_the_sampler():
    rng = np.random.default_rng(0)
    with rung.Study(SPACE, sampler="kde(random_fraction=0.0)") as study:
        for _ in range(40):
            config = {"x": float(rng.random()), "n": 5}
            study.tell(config, abs(config["x"] - 0.8))
        job = study.ask()
        assert study.history.origins[job.number].model
        assert abs(job.config["x"] - 0.8) < 0.2


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "sha", "asha-stopping"])
def test_schedulers_are_not_told_of_known_results(scheduler):
    with rung.Study(
        SPACE, resource=("epoch", 1, 9), scheduler=scheduler, sampler="random", trials=9
    ) as study:
        study.tell({"x": 0.0, "n": 1}, -1.0, resource=9)
        study.tell({"x": 0.1, "n": 1}, -2.0, resource=1)
        while not study.done:
            job = study.ask()
            study.tell(job, job.config["x"])
        assert study.history.begun == 9
        assert study.history.incumbent == Incumbent(0, 9, -1.0)
        assert audit(study.events()).differences == ()


def test_a_fold_of_a_sampler_is_told_of_known_results():
    """Ageing evolution takes a result that was told into its population, as a replay of the log does."""
    with rung.Study(SPACE, sampler="evolution", trials=5) as study:
        assert not study.history.sampler.members
        study.tell({"x": 0.25, "n": 3}, 0.125)
        for history in (study.history, again(study)):
            assert len(history.sampler.members) == 1


@pytest.mark.parametrize(
    ("config", "value", "resource", "error"),
    [
        ({"x": 2.0, "n": 1}, 0.0, None, SpaceError),
        ({"x": 0.5}, 0.0, None, SpaceError),
        ({"x": 0.5, "n": 1}, None, None, StudyError),
        ({"x": 0.5, "n": 1}, 0.0, 10, StudyError),
        ({"x": 0.5, "n": 1}, 0.0, 0, StudyError),
    ],
)
def test_what_is_no_known_result(config, value, resource, error):
    with rung.Study(SPACE, resource=("epoch", 1, 9)) as study:
        with pytest.raises(error):
            study.tell(config, value, resource=resource)
        assert len(study.history) == 0


def test_a_known_failure_is_a_failed_trial():
    with rung.Study(SPACE) as study:
        study.tell({"x": 0.5, "n": 1}, float("nan"))
        assert study.history.states == [TrialState.FAILED]
        assert study.history.incumbent is None


# -- another space ------------------------------------------------------------------------------------

OLD = compile_space(
    {
        "x": rung.Float(0, 1),
        "kind": rung.Choice({"a": {"p": rung.Integer(1, 9)}, "b": {}}),
        "gone": rung.Float(0, 1),
    }
)


def test_configurations_are_read_as_of_the_new_space():
    new = compile_space(
        {
            "kind": rung.Choice({"a": {"p": rung.Integer(1, 99, log=True)}, "c": {}}),
            "x": rung.Float(0, 0.5),
            "more": rung.Categorical(["r", "s"], default="s"),
        }
    )
    rows = [
        {"x": 0.25, "kind": "a", "p": 7},
        {"x": 0.75, "kind": "a", "p": 7},  # x is outside
        {"x": 0.25, "kind": "b"},  # the branch is gone
        {"x": 0.25, "kind": "a", "p": 7, "gone": 0.1},  # the parameter is gone
        {"x": 0.25, "kind": "c", "p": 7},  # the parameter is not active
    ]
    found = [reread(new, row, {}) for row in rows]
    assert new.to_mapping(found[0].values) == {"kind": "a", "p": 7, "x": 0.25, "more": "s"}
    assert found[0].assumed == {"more"}
    assert [one.inside for one in found] == [True, False, False, False, False]
    assert new.to_mapping(reread(new, rows[0], {"more": "r", "p": 1}).values) == {**rows[0], "more": "r"}


def test_a_value_is_given_by_key_or_by_name():
    assert completed(OLD, {"kind": "a", "p": 3}).values[2] == 3
    assert completed(OLD, {"kind": "a", "kind.a.p": 4}).values[2] == 4
    assert completed(OLD, {"kind": "a", "p": "x"}).misfits == ("kind.a.p",)


def objective(config):
    return config["x"] + 0.01 * config.get("z", 0.0)


def test_a_space_that_shrinks_leaves_the_incumbent_outside(tmp_path):
    store = str(tmp_path / "s.db")
    with rung.Study(SPACE, storage=store, study="s", sampler="kde", trials=30) as study:
        study.run(objective)
        assert study.history.incumbent.value < 0.2
        study.change_space({"x": rung.Float(0.5, 1), "n": rung.Integer(1, 9)})
        assert study.history.incumbent.value >= 0.5
        assert study.history.outside == {
            t for t, v in enumerate(study.history.values) if t in study.history.originals
        }
        study.set_limits(msgspec.structs.replace(study.history.limits, trials=60))
        result = study.run(objective)
        assert all(trial.config["x"] >= 0.5 for trial in result.trials[30:])
        assert 0.5 <= result.best.value < 0.55
        fresh = again(study)
        assert fresh.values == study.history.values
        assert fresh.incumbent == study.history.incumbent
        assert audit(study.events()).differences == ()


def test_what_went_outside_comes_back_when_the_space_grows_again():
    with rung.Study(SPACE, sampler="random", trials=20) as study:
        study.run(objective)
        before, best = list(study.history.values), study.history.incumbent
        study.change_space({"x": rung.Float(0.5, 1), "n": rung.Integer(1, 9)})
        study.change_space(SPACE)
        assert study.history.values == before
        assert study.history.outside == set()
        assert study.history.incumbent == best


def climbing(space, config):
    """A study whose first trial has this configuration, and is the one to be promoted."""
    study = rung.Study(space, resource=("e", 1, 9), scheduler="asha", sampler="random", trials=30)
    study.enqueue(config)
    study.tell(study.ask(), 0.1)
    for _ in range(2):
        study.tell(study.ask(), 1.0)
    return study


BRANCHED = {"opt": rung.Choice({"sgd": {"m": rung.Float(0, 1)}, "adam": {}})}
FLAT = Space(
    {"opt": rung.Categorical(["sgd", "adam"]), "m": rung.Float(0, 1)},
    conditions=[Condition("m", "opt", equals="sgd")],
)


@pytest.mark.parametrize(("before", "after"), [(BRANCHED, FLAT), (FLAT, BRANCHED)])
def test_a_parameter_that_leaves_its_branch_or_enters_one_keeps_its_value(before, after):
    study = climbing(before, {"opt": "sgd", "m": 0.9})
    study.change_space(after)
    assert 0 not in study.history.outside
    job = study.ask()
    assert (job.number, job.config) == (0, {"opt": "sgd", "m": 0.9})
    assert audit(study.events()).differences == ()


def test_a_trial_with_a_parameter_that_was_dropped_is_outside_until_it_is_back():
    both = {"x": rung.Float(0, 1), "y": rung.Float(0, 1)}
    study = climbing(both, {"x": 0.2, "y": 0.9})
    study.change_space({"x": rung.Float(0, 1)})
    assert study.history.outside == {0, 1, 2}
    assert study.history.config(0) == {"x": 0.2, "y": 0.9}
    assert study.ask().number == 3
    study.change_space(both)
    assert study.history.outside == set()
    job = study.ask()
    assert (job.number, job.config) == (0, {"x": 0.2, "y": 0.9})


def test_a_trial_with_a_parameter_that_is_not_active_any_more_is_outside():
    study = climbing(FLAT, {"opt": "sgd", "m": 0.9})
    study.change_space(Space(dict(FLAT.parameters), conditions=[Condition("m", "opt", equals="adam")]))
    assert 0 in study.history.outside
    assert study.history.config(0) == {"opt": "sgd", "m": 0.9}


@pytest.mark.parametrize("promoted", [False, True])
def test_a_parameter_that_was_added_can_be_dropped_again_unless_a_trial_ran_with_it(promoted):
    x, y = {"x": rung.Float(0, 1)}, {"y": rung.Float(0, 1)}
    study = climbing(x, {"x": 0.2})
    study.change_space(x | y, given={"y": 0.3})
    study.change_space(x | y | {"z": rung.Float(0, 1)})
    assert study.space.to_mapping(study.history.values[0]) == {"x": 0.2, "y": 0.3, "z": 0.5}
    if promoted:
        assert study.ask().config == {"x": 0.2, "y": 0.3, "z": 0.5}
    study.change_space(x)
    assert study.history.outside == ({0} if promoted else set())
    assert study.space.to_mapping(study.history.values[1]).keys() == {"x"}
    assert again(study).values == study.history.values


def test_what_waits_to_be_run_with_a_parameter_that_was_dropped_is_dropped():
    with rung.Study(SPACE, sampler="random", trials=9) as study:
        study.enqueue({"x": 0.25, "n": 2})
        study.change_space({"x": rung.Float(0, 1)})
        assert study.ask().config != {"x": 0.25}


def test_a_new_parameter_has_its_default_or_what_was_given():
    with rung.Study(SPACE, sampler="tpe", trials=12) as study:
        study.run(objective)
        study.change_space(SPACE | {"z": rung.Float(0, 1, default=0.75)}, given={"z": 0.125})
        assert {study.space.to_mapping(row)["z"] for row in study.history.values} == {0.125}
        study.set_limits(msgspec.structs.replace(study.history.limits, trials=20))
        result = study.run(objective)
        assert len({trial.config["z"] for trial in result.trials[12:]}) == 8


@pytest.mark.parametrize(
    "sampler", ["evolution", "genetic", "anneal", "cmaes", "dehb", "forest", "kde", "tpe", "sobol", "grid"]
)
@pytest.mark.parametrize("kept", [{}, {"n": rung.Integer(1, 9)}])  # without it all trials are outside
def test_every_sampler_goes_on_in_the_new_space(sampler, kept):
    new = {"x": rung.Float(0, 2), **kept, "z": rung.Float(0, 1), "k": rung.Categorical(["a", "b"])}
    with rung.Study(SPACE, sampler=sampler, trials=25) as study:
        study.run(objective)
        study.change_space(new)
        study.set_limits(msgspec.structs.replace(study.history.limits, trials=40))
        result = study.run(objective)
        assert {frozenset(trial.config) for trial in result.trials[:25]} == {frozenset({"x", "n"})}
        assert {frozenset(trial.config) for trial in result.trials[25:]} == {frozenset(new)}
        assert audit(study.events()).differences == ()


def test_the_same_space_is_no_change_and_a_bad_one_is_refused():
    with rung.Study(SPACE) as study:
        length = study.history.length
        study.change_space(SPACE)
        with pytest.raises(SpaceError):
            study.change_space({})
        with pytest.raises(SpaceError, match="'q'"):
            study.change_space(SPACE, given={"q": 1})
        assert study.history.length == length


def test_a_changed_study_is_resumed_with_its_present_space(tmp_path):
    store = str(tmp_path / "s.db")
    new = SPACE | {"z": rung.Float(0, 1)}
    with rung.Study(SPACE, storage=store, study="s", trials=5) as study:
        study.run(objective)
        study.change_space(new)
    with pytest.raises(StudyError, match="other settings"):
        rung.Study(SPACE, storage=store, study="s")
    with rung.Study(new, storage=store, study="s", trials=9) as study:
        assert len(study.run(objective).trials) == 9


def test_a_job_of_a_trial_that_is_outside_runs_again_as_it_was():
    with rung.Study(SPACE, resource=("epoch", 1, 3), scheduler="asha", sampler="random", trials=3) as study:
        jobs = [study.ask() for _ in range(3)]
        worst = max(job.config["x"] for job in jobs)
        study.change_space({"x": rung.Float(worst, 1), "n": rung.Integer(1, 9)})
        lost = min(jobs, key=lambda job: job.config["x"])
        study.writer.commit([ev.JobFailed(lost.number, ev.Failure.LOST, "", lost.attempt)])
        again = study.ask()
        assert (again.number, again.config) == (lost.number, lost.config)
        assert again.config["x"] < worst


def test_what_waits_to_be_run_and_is_not_in_the_new_space_is_dropped():
    with rung.Study(SPACE, sampler="random", trials=9) as study:
        study.enqueue({"x": 0.9, "n": 1})
        study.enqueue({"x": 0.1, "n": 2})
        study.change_space({"x": rung.Float(0, 0.5), "n": rung.Integer(1, 9), "z": rung.Float(0, 1)})
        assert study.ask().config == {"x": 0.1, "n": 2, "z": 0.5}
        assert study.ask() is not None


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "plain"])
def test_no_trial_outside_the_space_becomes_the_incumbent(scheduler):
    with rung.Study(
        SPACE, resource=("epoch", 1, 9), scheduler=scheduler, sampler="random", trials=20
    ) as study:
        jobs = [study.ask() for _ in range(6)]
        study.change_space({"x": rung.Float(0.6, 1), "n": rung.Integer(1, 9)})
        for job in jobs:
            study.tell(job, job.config["x"])
        while not study.done:
            job = study.ask()
            study.tell(job, job.config["x"])
        assert study.history.config(study.history.incumbent.trial)["x"] >= 0.6


def test_a_fixed_value_that_the_new_space_lacks_is_refused():
    with rung.Study(SPACE) as study:
        study.fix({"x": 0.9})
        with pytest.raises(SpaceError, match="'x' is fixed at"):
            study.change_space({"x": rung.Float(0, 0.5), "n": rung.Integer(1, 9)})


def test_a_stopped_trial_is_charged_as_far_as_it_came():
    with rung.Study(
        SPACE, resource=("epoch", 1, 9), scheduler="asha-stopping", sampler="random", trials=9
    ) as study:
        first, second = study.ask(), study.ask()
        assert study.history.spent == 18
        study.report(first, 1, 0.0)
        assert not study.report(second, 1, 1.0)
        assert study.history.spent == 9 + 1


def test_scalars_of_numpy_are_values_wherever_one_is_named(tmp_path) -> None:
    given = {
        "x": np.float64(0.5),
        "n": np.int64(3),
        "k": np.str_("a"),
        "l": (np.int64(1), 2),
        "b": np.bool_(True),
    }
    space = {
        "x": rung.Float(0, 1),
        "n": rung.Integer(1, 9),
        "k": rung.Categorical(["a", "b"]),
        "l": rung.Categorical([[1, 2], [3]]),
        "b": rung.Categorical([True, False]),
    }
    plain = {"x": 0.5, "n": 3, "k": "a", "l": [1, 2], "b": True}
    with rung.Study(space, trials=2, storage=tmp_path / "s.db", study="s") as study:
        study.enqueue(given)
        study.fix(given)
        study.fix(given)  # no change
        study.record("mine", {**given, "array": np.arange(2)})
        study.change_space({**space, "new": rung.Integer(1, 5)}, given={"new": np.int64(4)})
        assert study.history.records["mine"][0].data == {**plain, "array": [0, 1]}
        assert study.history.fixed == plain
        assert [type(event).__name__ for event in study.events()][2:] == [
            "Requested", "Requested", "Recorded", "SpaceChanged",
        ]  # fmt: skip
    with rung.Study.open(tmp_path / "s.db", "s") as study:
        assert study.history.fixed == plain


@pytest.mark.parametrize(
    ("topic", "data"), [("mine", {"x": object()}), ("mine", {"x": 2**70}), ("mine", 3), (3, {})]
)
def test_what_the_log_cannot_keep_is_refused(topic, data) -> None:
    with rung.Study({"x": rung.Float(0, 1)}) as study:
        with pytest.raises(StudyError, match=r"cannot keep|a record is"):
            study.record(topic, data)
        assert not study.history.records


def test_a_call_that_fails_before_it_runs_leaves_no_study(tmp_path, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise TypeError("ours")

    with monkeypatch.context() as patched:
        patched.setattr(rung.Study, "fix", broken)
        with pytest.raises(TypeError, match="ours"):
            rung.tune(
                lambda config: 0.0,
                {"x": rung.Float(0, 1)},
                fixed={"x": 1},
                storage=tmp_path / "s.db",
                study="s",
            )
    assert open_storage(tmp_path / "s.db").find("s") is None
