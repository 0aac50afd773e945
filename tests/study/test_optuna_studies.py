"""Studies of Optuna come as studies of ours: space, results, states, directions, attributes."""

import pytest

import rung
from rung.cli import main
from rung.errors import StudyError
from rung.space import Condition, Constant, Float, Integer, Is
from rung.study import from_optuna
from rung.study.optuna_space import Drawn, space_of
from rung.study.optuna_studies import optuna_studies
from rung.trials.states import TrialState

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial):
    x = trial.suggest_float("x", -1, 1)
    trial.suggest_float("lr", 1e-5, 0.1, log=True)
    optimizer = trial.suggest_categorical("optimizer", ["sgd", "adam", None])
    if optimizer == "sgd":
        trial.suggest_float("momentum", 0, 1, step=0.25)
    for i in range(trial.suggest_int("layers", 1, 3)):
        trial.suggest_int(f"units_{i}", 32, 256, step=32)
    trial.suggest_int("one", 3, 3)
    trial.set_user_attr("size", 7 * trial.number)
    trial.report(x, 0)
    trial.report(2 * x, 1)
    if trial.number == 5:
        raise ValueError("as it happens")
    if trial.number % 4 == 3:
        raise optuna.TrialPruned
    return x * x


@pytest.fixture(scope="module")
def theirs():
    study = optuna.create_study(
        study_name="theirs", direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.set_user_attr("who", "me")
    study.optimize(objective, n_trials=24, catch=ValueError)
    study.ask()
    return study


def test_the_space_is_read_from_the_trials(theirs) -> None:
    space = from_optuna(theirs).study.space.space
    parameters = dict(space.parameters)
    assert sorted(map(str, parameters.pop("optimizer").values)) == ["None", "adam", "sgd"]
    assert parameters == {
        "x": Float(-1, 1),
        "lr": Float(1e-5, 0.1, log=True),
        "momentum": Float(0, 1, step=0.25),
        "layers": Integer(1, 3),
        "units_0": Integer(32, 256, step=32),
        "units_1": Integer(32, 256, step=32),
        "units_2": Integer(32, 256, step=32),
        "one": Constant(3),
    }
    assert set(space.conditions) == {
        Condition("momentum", Is("optimizer", equals="sgd")),
        Condition("units_1", Is("layers", at_least=2)),
        Condition("units_2", Is("layers", at_least=3)),
    }


def test_results_states_and_attributes_come_with_it(theirs) -> None:
    found = from_optuna(theirs, metric="accuracy")
    assert (found.trials, found.failed, found.pruned) == (17, 1, 0)
    assert found.left_out == {"pruned": 6, "running": 1}
    assert found.unruled == ()
    records = found.study.result.trials
    came = [trial for trial in theirs.trials if trial.state.name in ("COMPLETE", "FAIL")]
    assert [record.config for record in records] == [trial.params for trial in came]
    assert [record.value for record in records] == [trial.value for trial in came]
    assert [record.state for record in records].count(TrialState.FAILED) == 1
    assert found.study.best.value == theirs.best_value
    assert found.study.identity.metric == "accuracy"
    assert found.study.identity.mode == "max"
    last = came[-1]
    assert records[-1].attributes == {
        "size": 7 * last.number,
        "intermediate_values": {"0": last.params["x"], "1": 2 * last.params["x"]},
    }
    assert found.study.history.records["imported"][0].data["attributes"] == {"who": "me"}


def test_pruned_trials_come_at_their_last_step(theirs) -> None:
    found = from_optuna(theirs, resource="epoch:1:9")
    assert (found.trials, found.pruned) == (23, 6)
    at = {record.number: record for record in found.study.result.trials}
    assert at[3].resource == 2  # two reports, counted from 0
    assert at[3].value == 2 * at[3].config["x"]
    assert at[4].resource == 9


def test_several_objectives() -> None:
    study = optuna.create_study(study_name="two", directions=["minimize", "maximize"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), trial.suggest_int("y", 0, 9)), n_trials=4)
    found = from_optuna(study).study
    assert [(goal.metric, goal.mode) for goal in found.identity.goals] == [
        ("value_0", "min"),
        ("value_1", "max"),
    ]
    told = [record.observations[0].metrics for record in found.result.trials]
    assert told == [dict(zip(("value_0", "value_1"), trial.values, strict=True)) for trial in study.trials]
    with pytest.raises(StudyError, match="'two' has 2 objectives, not 1"):
        from_optuna(study, metric="loss")


def drawn(*trials):
    kinds = {
        "f": lambda high: optuna.distributions.FloatDistribution(0, high),
        "s": lambda step: optuna.distributions.IntDistribution(0, 12, step=step),
        "c": optuna.distributions.CategoricalDistribution,
    }
    return [
        Drawn({n: v for n, (_, v) in one.items()}, {n: kinds[n[0]](d) for n, (d, _) in one.items()})
        for one in trials
    ]


def test_an_imported_study_goes_on_in_python() -> None:
    theirs = optuna.create_study()
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    study = from_optuna(theirs).study
    with pytest.raises(StudyError, match="give it a budget, such as trials=100"):
        study.run(lambda config: config["x"])
    assert len(study.run(lambda config: config["x"], trials=2).trials) == 5


def test_ranges_that_differ_are_united() -> None:
    found = space_of(drawn({"f": (1, 0.5), "s": (2, 4)}, {"f": (3, 2.5), "s": (3, 3)}))
    assert dict(found.space.parameters) == {"f": Float(0, 3), "s": Integer(0, 12)}


def test_what_no_rule_explains_is_said() -> None:
    found = space_of(drawn({"f": (1, 0.5), "f2": (1, 0.5)}, {"f": (1, 0.5)}))
    assert found.unruled == ("f2",)
    assert found.space.conditions == ()
    branches = ["a", "b", "d"]
    found = space_of(
        drawn(
            {"c": (branches, "a"), "f": (1, 0.5)}, {"c": (branches, "b"), "f": (1, 0)}, {"c": (branches, "d")}
        )
    )
    assert found.space.conditions == (Condition("f", Is("c", one_of=["a", "b"])),)


def out_of_memory(trial):
    """It fails before it has asked for its learning rate, or after."""
    layers = trial.suggest_int("layers", 1, 8)
    if layers == 1:
        raise RuntimeError("out of memory")
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    if layers == 2:
        raise RuntimeError("out of memory")
    return layers * lr


def test_that_a_failed_trial_lacks_a_parameter_is_no_condition() -> None:
    theirs = optuna.create_study(study_name="failing", sampler=optuna.samplers.RandomSampler(seed=0))
    theirs.optimize(out_of_memory, n_trials=30, catch=(RuntimeError,))
    early = [trial for trial in theirs.trials if trial.params["layers"] == 1]
    late = [trial for trial in theirs.trials if trial.params["layers"] == 2]
    assert early
    assert late
    found = from_optuna(theirs)
    space = found.study.space.space
    assert dict(space.parameters) == {"layers": Integer(1, 8), "lr": Float(1e-4, 1e-1, log=True)}
    assert space.conditions == ()
    assert found.unruled == ()
    assert (found.trials, found.failed) == (30 - len(early) - len(late), len(late))
    assert found.left_out == {"fail": len(early)}
    assert [record.config for record in found.study.result.trials] == [
        trial.params for trial in theirs.trials if trial not in early
    ]
    found.study.enqueue({"layers": 1})
    assert set(found.study.ask().config) == {"layers", "lr"}


def test_what_a_failed_trial_has_speaks_against_a_condition() -> None:
    kinds = ["a", "b"]
    complete = {"c": (kinds, "a"), "f": (1, 0.5)}, {"c": (kinds, "b")}
    assert space_of(drawn(*complete)).space.conditions == (Condition("f", Is("c", equals="a")),)
    failed = drawn({"c": (kinds, "b"), "f": (3, 2.5)})[0]._replace(state="FAIL")
    found = space_of([*drawn(*complete), failed])
    assert found.space.conditions == ()
    assert found.unruled == ("f",)
    assert dict(found.space.parameters)["f"] == Float(0, 3)


def test_a_pruned_trial_may_have_stopped_before_it_asked_for_more() -> None:
    kinds = ["a", "b"]
    complete = drawn({"c": (kinds, "a"), "f": (1, 0.5)}, {"c": (kinds, "b")})
    pruned = drawn({"c": (kinds, "a")})[0]._replace(state="PRUNED")
    rule = (Condition("f", Is("c", equals="a")),)
    found = space_of([*complete, pruned])
    assert found.space.conditions == rule
    assert found.unruled == ("f",)  # this one has the default
    pruned = drawn({"c": (kinds, "b")})[0]._replace(state="PRUNED")
    assert space_of([complete[0], pruned]).space.conditions == rule  # all of a bad branch were pruned


def test_failed_trials_that_are_left_out_are_said(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    theirs = optuna.create_study(
        storage="sqlite:///theirs.db", study_name="failing", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    theirs.optimize(out_of_memory, n_trials=30, catch=(RuntimeError,))
    early = sum(trial.params["layers"] == 1 for trial in theirs.trials)
    with pytest.raises(SystemExit) as ended:
        main(("import", "theirs.db"))
    assert not ended.value.code
    said = capsys.readouterr().err
    assert f"; left out: {early} failed" in said
    assert "stopped before they had all of their parameters" in said


def test_nothing_to_import() -> None:
    with pytest.raises(StudyError, match="'none' has no complete trial"):
        from_optuna(optuna.create_study(study_name="none"))
    with pytest.raises(StudyError, match=r"an optuna\.Study was expected"):
        from_optuna("optuna.db")


@pytest.mark.filterwarnings("default::optuna.exceptions.ExperimentalWarning")
def test_the_command_reads_a_journal_and_the_study_goes_on(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    backend = optuna.storages.journal.JournalFileBackend("theirs.log")
    study = optuna.create_study(storage=optuna.storages.JournalStorage(backend), study_name="mine")
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=6)

    def command(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(words)
        return int(ended.value.code or 0)

    assert command("import", "theirs.log", "--metric", "loss") == 0
    assert "mine: 6 results" in capsys.readouterr().err
    assert command("import", "theirs.log", "--metric", "loss") == 1
    assert "there is a study 'mine' with trials already" in capsys.readouterr().err
    with rung.Study.open("rung.db", "mine") as ours:
        assert ours.best.value == study.best_value
        ours.set_limits(rung.Study({"x": rung.Float(0, 1)}, trials=3).history.limits)
        result = ours.run(lambda config: config["x"] ** 2)
    assert len(result.trials) == 9


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file .*x.db"),
        (b"plain text", "no storage of Optuna: neither a SQLite file nor a journal"),
        (b"", "no storage of Optuna: neither"),
    ],
)
def test_what_is_no_storage_of_optuna(content, said, tmp_path) -> None:
    path = tmp_path / "x.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudyError, match=said), optuna_studies(str(path)):
        pass
    assert path.exists() == (content is not None)


def test_a_storage_of_ours_is_told_apart_and_a_password_is_not_shown(tmp_path) -> None:
    path = tmp_path / "rung.db"
    rung.Study({"x": rung.Float(0, 1)}, storage=path).close()
    before = path.read_bytes()
    with pytest.raises(StudyError, match="it is a storage of rung's"), optuna_studies(str(path)):
        pass
    assert path.read_bytes() == before
    with (
        pytest.raises(StudyError, match=r"nosuch://u:\*\*\*@h") as caught,
        optuna_studies("nosuch://u:secret@h/d"),
    ):
        pass
    assert "secret" not in str(caught.value)


def test_a_sqlite_file_is_read_and_left_alone(tmp_path) -> None:
    path = tmp_path / "theirs.db"
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="stored")
    study.optimize(lambda trial: trial.suggest_categorical("x", [1, "a", None]) is None, n_trials=3)
    before = path.read_bytes()
    with optuna_studies(str(path)) as there:
        found = [from_optuna(each) for each in there]
    assert [one.study.name for one in found] == ["stored"]
    assert [record.config for record in found[0].study.result.trials] == [
        trial.params for trial in study.trials
    ]
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["theirs.db"]
