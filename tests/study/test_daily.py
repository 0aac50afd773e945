"""What users of other libraries do every day: stop from a callback, enqueue half a configuration, look."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import rung
from rung.errors import SpaceError, StudyError, UserError
from rung.executors.simulated import SimulatedExecutor
from rung.storage import open_storage
from rung.study.audit import audit
from rung.trials.events import JobStarted, Reported, Requested
from rung.trials.states import TrialState

SPACE = {
    "x": rung.Float(-1.0, 1.0),
    "optimizer": rung.Choice(
        {"sgd": {"momentum": rung.Float(0.0, 0.9)}, "adam": {"beta": rung.Float(0.8, 0.9)}}
    ),
}


def square(config):
    return config["x"] ** 2


# -- stopping -----------------------------------------------------------------------------------------


def stop_after(number):
    def watch(study, events):
        if len(study.history.values) > number:
            study.stop()

    return watch


def test_watch_may_stop_the_search_in_line():
    ran = []

    def train(config):
        ran.append(config)
        return square(config)

    result = rung.tune(train, SPACE, trials=50, sampler="random", watch=stop_after(4), quiet=True)
    assert result.reason == "stopped"
    assert len(ran) == 4, "a job that was only submitted does not run"
    assert [trial.state for trial in result.trials[:4]] == [TrialState.COMPLETE] * 4
    assert len(result.trials) == 5


def test_watch_may_stop_it_in_the_middle_of_a_trial():
    def train(trial):
        for epoch in range(9):
            trial.report(epoch + 1, loss=1.0)

    def watch(study, events):
        if any(isinstance(event, Reported) and event.resource == 3 for event in events):
            study.stop()

    result = rung.tune(
        train, SPACE, trials=9, resource=("epoch", 1, 9), scheduler="plain", watch=watch, quiet=True
    )
    assert result.reason == "stopped"
    assert len(result.trials) == 1
    assert result.trials[0].resource == 3


def test_watch_may_stop_it_on_workers_and_on_a_virtual_clock():
    result = rung.tune(square, SPACE, trials=50, workers=2, watch=stop_after(6), quiet=True)
    assert result.reason == "stopped"
    assert 6 <= len(result.trials) <= 9
    virtual = SimulatedExecutor(
        3, lambda config, trial, resource: {"loss": square(config)}, lambda config, low, high, trial: 1.0
    )
    result = rung.tune(square, SPACE, trials=50, executor=virtual, watch=stop_after(6), quiet=True)
    assert result.reason == "stopped"
    assert len(result.trials) < 12


def test_a_library_may_put_an_exception_of_its_own_around_the_stop():
    """As CatBoost does with what a callback raises."""

    def train(trial):
        try:
            for epoch in range(trial.start, trial.resource):
                trial.report(epoch + 1, loss=1.0)
        except rung.Stopped:
            raise RuntimeError("a callback raised") from None

    def watch(study, events):
        if any(isinstance(event, Reported) and event.resource == 3 for event in events):
            study.stop()

    told = {"resource": ("epoch", 1, 9), "scheduler": "plain", "watch": watch, "quiet": True}
    result = rung.tune(train, SPACE, trials=3, **told)
    assert [trial.state for trial in result.trials] == [TrialState.INTERRUPTED]


def test_a_stopped_search_goes_on(tmp_path):
    place = {"storage": tmp_path / "s.db", "study": "s", "sampler": "random", "quiet": True}
    calm = rung.tune(square, SPACE, trials=12, sampler="random", quiet=True)
    rung.tune(square, SPACE, trials=12, watch=stop_after(4), **place)
    result = rung.tune(square, SPACE, trials=12, **place)
    assert result.reason is None
    assert [trial.config for trial in result.trials] == [trial.config for trial in calm.trials]
    assert {trial.state for trial in result.trials} == {TrialState.COMPLETE}


def test_ones_own_loop_stops_too():
    with rung.Study(SPACE, trials=9) as study:
        study.stop()  # nothing runs: nothing to stop
        job, other = study.ask(), study.ask()
        study.stop()
        study.stop()
        assert study.ask() is None
        study.tell(job, 1.0)
        study.tell(other, 2.0)
        assert study.done
        assert study.result.reason == "stopped"


def test_watch_is_a_function():
    for quiet in (True, False):
        with pytest.raises(StudyError, match="watch must be a function"):
            rung.tune(square, SPACE, trials=2, watch=[print], quiet=quiet)


# -- half a configuration -----------------------------------------------------------------------------


def test_what_a_configuration_leaves_out_is_drawn():
    with rung.Study(SPACE, trials=4, sampler="random") as study:
        study.fix({"x": 0.5})
        study.enqueue({"momentum": 0.25})
        study.enqueue({"x": 1})
        study.enqueue({})
        study.enqueue({"x": 0.0, "optimizer": "adam", "beta": 0.85})
        configs = [study.ask().config for _ in range(4)]
        assert configs[0] == {"x": 0.5, "optimizer": "sgd", "momentum": 0.25}
        assert configs[1]["x"] == 1.0
        assert "optimizer" in configs[1]
        assert configs[2]["x"] == 0.5
        assert configs[3] == {"x": 0.0, "optimizer": "adam", "beta": 0.85}
        asked = [event.data for event in study.events() if isinstance(event, Requested)]
        assert asked[1:] == configs, "the log has all of it"
        assert all(study.history.origins[i].sampler == "enqueued" for i in range(4))
        assert audit(list(study.events())).differences == ()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"lr": 0.1}, "'lr' cannot be asked for: the space has x, optimizer, "),
        ({"momentum": 2.0}, "momentum.* is 2.0, which is not between"),
        ({"momentum": 0.1, "beta": 0.8}, "no configuration has .*: the combination is forbidden"),
        (
            {"optimizer": "adam", "momentum": 0.1},
            "parameter 'momentum' is not active beside the other values",
        ),
        ({"x": 0.1, "optimizer": "adam", "beta": 0.8, "momentum": 0.1}, "not active beside the other values"),
        ([("x", 0.1)], "a configuration is a mapping"),
    ],
)
def test_what_no_configuration_has_is_refused(config, message):
    with rung.Study(SPACE, trials=4) as study, pytest.raises(SpaceError, match=message):
        study.enqueue(config)


def test_the_same_half_is_completed_the_same_way():
    def first(seed):
        result = rung.tune(square, SPACE, trials=2, seed=seed, enqueue=[{"optimizer": "sgd"}] * 2, quiet=True)
        return [trial.config for trial in result.trials]

    assert first(3) == first(3) != first(4)
    assert first(3)[0] != first(3)[1]


# -- looking at it ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found():
    def train(config):
        if config["x"] < -0.5:
            raise ValueError("<too small>")
        if config["x"] > 0.3:
            return {"loss": float("nan")}
        return {"loss": square(config), "size": 3}

    return rung.tune(train, SPACE, trials=12, sampler="random", seed=2, quiet=True)


def test_a_notebook_shows_a_table(found):
    html = found._repr_html_()
    assert html.startswith("<p>study-1: 12 trials, best ")
    assert "<th>trial</th><th>loss</th><th>state</th><th>x</th>" in html
    assert html.count("<tr>") == 1 + min(10, sum(trial.value is not None for trial in found.trials))
    best = html.split("<tr>")[2]
    assert f"<td>{found.best.number}</td><td>{found.best.value:.6g}</td>" in best


def test_a_notebook_shows_words_as_words():
    space = {"<b>": rung.Categorical(["<script>", "&"])}
    html = rung.tune(lambda config: 1.0, space, trials=2, study="<i>", quiet=True)._repr_html_()
    assert "<script>" not in html
    assert "&lt;b&gt;" in html
    assert "&lt;i&gt;" in html


def test_a_notebook_shows_a_front_and_an_empty_study():
    result = rung.tune(
        lambda config: {"a": config["x"], "b": -config["x"]}, SPACE, metric=["a", "b"], trials=5, quiet=True
    )
    assert "<th>trial</th><th>a</th><th>b</th><th>state</th>" in result._repr_html_()
    with rung.Study(SPACE, resource=("epoch", 1, 9), trials=2) as study:
        assert study._repr_html_() == f"<p>{study.name}: 0 trials, no trial has a value</p>"
        study.tell(study.ask(), 0.5)
        assert "<th>epoch</th>" in study._repr_html_()


def test_a_frame_has_times_and_what_went_wrong(found):
    frame = found.to_frame()
    failed = frame[frame["state"] == "failed"]
    assert len(failed) > 0
    assert set(failed["message"]) == {
        "ValueError: <too small>",
        "a value of loss that is NaN, infinite or missing",
    }
    assert set(frame[frame["state"] == "complete"]["message"]) == {""}
    assert (frame["ended"] >= frame["started"]).all()
    assert set(frame["attempts"]) == {1}


@pytest.mark.parametrize(
    ("ask", "hint"),
    [
        (lambda result: result.best_params, "it is result.best.config"),
        (lambda result: result.trials_dataframe(), r"it is result.to_frame\(\)"),
        (lambda result: result.best.params, "it is .config"),
        (lambda result: result.trials[0].user_attrs, "it is .attributes"),
        (lambda _: rung.Study(SPACE).optimize(square), r"it is study.run\(objective\)"),
        (lambda _: rung.Study(SPACE).best_value, "it is study.best.value"),
        (lambda result: result.bests, "'Result' object has no attribute 'bests'"),
        (lambda result: result.best.bests, "'TrialRecord' object has no attribute 'bests'"),
    ],
)
def test_other_libraries_names_are_told(found, ask, hint):
    with pytest.raises(AttributeError, match=hint):
        ask(found)


def test_a_result_says_how_it_is_kept(found):
    with pytest.raises(TypeError, match="cannot be pickled: keep the log"):
        pickle.dumps(found)


def test_job_numbers_are_not_skipped_by_a_stop():
    result = rung.tune(square, SPACE, trials=9, watch=stop_after(2), quiet=True)
    started = [event.trial for event in result.events() if isinstance(event, JobStarted)]
    assert started == list(range(len(started)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": ["min", "max"]}, "2 modes for the metrics 'loss': give one for each"),
        ({"metric": ["a", "b"], "reference": [1.0]}, "1 reference values for the metrics 'a', 'b'"),
        ({"metric": []}, "no metric is named"),
    ],
)
def test_objectives_that_do_not_match_are_named(given, message):
    with pytest.raises(StudyError, match=message):
        rung.tune(square, SPACE, trials=2, quiet=True, **given)


def test_a_tuple_of_objectives_is_told_to_be_a_mapping():
    with pytest.warns(UserWarning, match=r"returned a tuple: .* a mapping of metrics as \{'a': 0.31\}"):
        rung.tune(lambda config: (1.0, 2.0), SPACE, metric=["a", "b"], trials=2, quiet=True)


def test_a_grid_that_is_cut_off_says_what_it_never_changes(capsys):
    space = {
        "a": rung.Float(0, 1),
        "b": rung.Choice({"p": {"c": rung.Integer(1, 3)}, "q": {}}),
        "d": rung.Categorical([1, 2]),
    }
    rung.tune(lambda config: 1.0, space, sampler="grid", trials=6)
    assert "its first 6 never change a, b: take fewer values" in capsys.readouterr().err
    rung.tune(lambda config: 1.0, space, sampler="grid", trials=7)
    assert "never change a:" in capsys.readouterr().err
    rung.tune(lambda config: 1.0, space, sampler="grid(resolution=2)", trials=16)
    rung.tune(lambda config: 1.0, space, sampler="grid", trials=8, fixed={"a": 0.5})
    rung.tune(lambda config: 1.0, space, sampler="random", trials=2)
    assert "never change" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        {"fixed": {"z": 1}},
        {"enqueue": [{"x": 0.5}, {"x": 7}]},
        {"workers": 9999},
        {"checkpoints": "ftp://me:secret@x/y"},
        {"trials": None},
    ],
)
@pytest.mark.parametrize("kind", ["path", "storage"])
def test_a_call_that_was_refused_can_be_put_right(tmp_path, wrong, kind):
    path = tmp_path / "s.db"
    store = open_storage(path) if kind == "storage" else path
    given = {"storage": store, "study": "mine", "quiet": True}
    with pytest.raises(UserError):
        rung.tune(square, SPACE, **{**given, "trials": 3, **wrong})
    found = rung.tune(square, SPACE, trials=3, sampler="tpe", enqueue=[{"x": 0.25}, {"x": 0.75}], **given)
    assert [trial.config["x"] for trial in found.trials[:2]] == [0.25, 0.75]


def test_calling_again_enqueues_what_the_study_does_not_know_yet(tmp_path):
    space = {"x": rung.Float(0, 1), "k": rung.Categorical(["a", "b", "c"])}
    given = {"storage": tmp_path / "s.db", "study": "s", "quiet": True, "sampler": "random"}

    def enqueued(trials, *configs):
        found = rung.tune(square, space, trials=trials, enqueue=configs, **given)
        return [trial.config for trial in found.trials if trial.origin.sampler == "enqueued"]

    first = enqueued(2, {"x": 0.25, "k": "a"}, {"x": 0.5}, {"x": 0.75})  # the last is left in the queue
    assert [config["x"] for config in first] == [0.25, 0.5]
    again = enqueued(4, {"x": np.float64(0.25), "k": "a"}, {"x": 0.5}, {"x": 0.75}, {"x": 0.25, "k": "b"})
    assert [config["x"] for config in again] == [0.25, 0.5, 0.75, 0.25]
    assert again[3]["k"] == "b"
    assert enqueued(5, {"x": 0.25, "k": "b"}, {"x": 0.75}) == again
    with pytest.raises(SpaceError):
        enqueued(6, {"x": 7})


def test_a_study_that_was_there_survives_a_refused_call(tmp_path):
    given = {"storage": tmp_path / "s.db", "study": "mine", "sampler": "random"}
    with rung.Study(SPACE, trials=3, **given) as study:
        study.enqueue({"x": 0.25})
    with pytest.raises(UserError):
        rung.tune(square, SPACE, trials=3, fixed={"z": 1}, quiet=True, **given)
    found = rung.tune(square, SPACE, trials=3, quiet=True, **given)
    assert found.trials[0].config["x"] == 0.25
    with pytest.raises(UserError):
        rung.tune(square, SPACE, trials=3, fixed={"z": 1}, quiet=True, **given)
    assert len(rung.Study.open(tmp_path / "s.db", "mine").result.trials) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sampler": "asha"}, r"'asha' is no sampler but a scheduler: give it as scheduler='asha' \(--sched"),
        ({"sampler": "bohb"}, "'bohb' is no sampler but a method"),
        ({"scheduler": "tpe(startup=5)"}, "'tpe' is no scheduler but a sampler: give it as sampler='tpe'"),
        ({"method": "tpe"}, "'tpe' is no method but a sampler"),
        ({"method": "hyberband"}, "did you mean 'hyperband'"),
        ({"sampler": "tpee"}, "did you mean 'tpe'"),
    ],
)
def test_a_name_of_another_kind_is_told_which(given, message):
    with pytest.raises(StudyError, match=message):
        rung.tune(square, SPACE, trials=2, quiet=True, **given)
