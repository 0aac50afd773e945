"""The commands that look after stored studies."""

import csv
import io
import json
import sqlite3

import pytest

import rung as package
from rung.cli import output
from rung.trials.events import StudyCreated
from rung.trials.folding import HANDLERS


def test_list(rung, study: str) -> None:
    (row,) = json.loads(rung("list", "--json").stdout)
    assert (row["name"], row["door"], row["trials"], row["finished"], row["writer"]) == (
        "made",
        "tune",
        12,
        12,
        None,
    )
    shown = rung("list").stdout.splitlines()
    assert shown[0].split() == ["study", "door", "state", "trials", "metric", "best", "time"]
    assert shown[2].split()[:2] == ["made", "tune"]


def test_an_empty_list(rung, folder) -> None:
    assert json.loads(rung("list", "--json").stdout) == []
    empty = rung("list")
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert "no studies in rung.db yet" in empty.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("url", ["other.db", "sqlite:///other.db"])
def test_a_storage_that_is_named_must_be_there(rung, folder, url: str) -> None:
    done = rung("list", "--storage", url)
    assert done.exit_code == 2
    assert f"there is no storage {url}" in done.stderr
    assert list(folder.iterdir()) == []


def test_the_storage_of_the_environment(rung, folder, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNG_STORAGE", f"sqlite:///{folder}/rung.db")
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    assert [row["name"] for row in json.loads(rung("list", "--json").stdout)] == ["made"]


@pytest.mark.parametrize("command", ["show", "export"])
def test_who_looks_folds_the_log_once(rung, study: str, monkeypatch: pytest.MonkeyPatch, command) -> None:
    begun = []
    take = HANDLERS[StudyCreated]
    monkeypatch.setitem(HANDLERS, StudyCreated, lambda *both: begun.append(1) or take(*both))
    assert rung(command, study).exit_code == 0
    assert len(begun) == 1


def test_show(rung, study: str) -> None:
    shown = rung("show", study, "--top", 3).stdout
    assert "study      made (tune, " in shown
    assert "loss, minimised; step 1 to 9, eta 3" in shown
    head = next(line for line in shown.splitlines() if line.startswith("trial "))
    assert head.split() == ["trial", "loss", "step", "state", "configuration"]
    data = json.loads(rung("show", study, "--json", "--top", 3).stdout)
    assert data["trials"]["all"] == 12
    assert len(data["best"]) == 3
    assert data["best"][0]["number"] == data["incumbent"]["number"]
    assert data["limits"]["trials"] == 12


def test_ranking_is_by_fidelity_then_value(rung, study: str) -> None:
    best = json.loads(rung("show", study, "--json", "--top", 99).stdout)["best"]
    assert len(best) == 12
    keys = [(-row["resource"], row["value"], row["number"]) for row in best]
    assert keys == sorted(keys)


def test_export_json(rung, study: str) -> None:
    exported = json.loads(rung("export", study).stdout)
    assert [trial["number"] for trial in exported] == list(range(12))
    first = exported[0]
    assert list(first) == ["number", "config", "state", "observations", "attributes", "incumbent", "timing"]
    assert set(first["config"]) <= {"x", "kind", "y"}
    assert first["observations"][0]["resource"] == 1
    assert list(first["observations"][0]["metrics"]) == ["loss"]
    assert sum(trial["incumbent"] for trial in exported) == 1


def test_equal_studies_are_exported_equally_but_for_timing(rung, objective: str) -> None:
    exported = []
    for name in ("one", "two"):
        rung("tune", objective, "--trials", 8, "--executor", "inline", "--study", name)
        trials = json.loads(rung("export", name, "--format", "json").stdout)
        assert all(trial.pop("timing")["attempts"] >= 1 for trial in trials)
        exported.append(trials)
    assert exported[0] == exported[1]


def test_export_csv(rung, folder, study: str) -> None:
    done = rung("export", study, "--format", "csv", "--out", "trials.csv")
    assert (done.exit_code, done.stdout) == (0, "")
    rows = list(csv.DictReader(io.StringIO((folder / "trials.csv").read_text())))
    exported = json.loads(rung("export", study).stdout)
    assert [float(row["config.x"]) for row in rows] == [trial["config"]["x"] for trial in exported]
    assert [row["config.y"] == "" for row in rows] == ["y" not in trial["config"] for trial in exported]
    assert [row["incumbent"] == "true" for row in rows] == [trial["incumbent"] for trial in exported]


def test_another_space_says_how_many_trials_are_not_in_it(rung, folder) -> None:
    (folder / "wide.py").write_text(
        "import rung\nspace = {'x': rung.Ordinal([1, 2, 3]), 'y': rung.Constant(0)}\n"
        "narrow = {'x': rung.Ordinal([1, 2]), 'y': rung.Constant(0)}\n"
        "wider = {**space, 'z': rung.Float(0, 1)}\n"
        "def train(config): return config['x']\n"
    )
    args = ("--sampler", "grid", "--executor", "inline", "--study", "s", "--trials", 3)
    assert rung("tune", "wide.py", *args).exit_code == 0
    assert "not in it" not in rung("extend", "s", "--space", "wide.py:wider").stderr
    said = rung("extend", "s", "--space", "wide.py:narrow").stderr
    assert "of its 3 trials 1 not in it" in " ".join(said.split())


def test_export_refuses(rung, study: str) -> None:
    assert "'xml' is unknown" in rung("export", study, "--format", "xml").stderr
    done = rung("export", study, "--out", "no/such/folder.json")
    assert (done.exit_code, "the folder no/such does not exist" in done.stderr) == (2, True)


def test_nan_and_infinities_are_strings(rung, folder) -> None:
    (folder / "not_finite.py").write_text(
        "import rung\nspace = {'k': rung.Ordinal([0, 1, 2])}\n"
        "def train(config): return {'loss': [float('nan'), float('inf'), -float('inf')][config['k']]}\n"
    )
    args = ("--sampler", "grid", "--executor", "inline", "--study", "s", "--trials", 3)
    assert rung("tune", "not_finite.py", *args).exit_code == 1
    exported = json.loads(rung("export", "s").stdout)
    values = [trial["observations"][0]["metrics"]["loss"] for trial in exported]
    assert sorted(values) == ["-Infinity", "Infinity", "NaN"]


def test_rename_and_delete(rung, study: str) -> None:
    assert rung("rename", study, "other").exit_code == 0
    assert "did you mean" in rung("show", "othre").stderr
    asked = rung("delete", "other")
    assert (asked.exit_code, "say --yes" in asked.stderr) == (2, True)
    assert rung("delete", "other", "--yes").exit_code == 0
    assert json.loads(rung("list", "--json").stdout) == []
    assert rung("delete", "other", "--yes").exit_code == 2


def test_rename_to_a_name_that_is_taken(rung, objective: str, study: str) -> None:
    rung("tune", objective, "--trials", 1, "--executor", "inline", "--study", "other")
    done = rung("rename", study, "other")
    assert (done.exit_code, "'other'" in done.stderr) == (2, True)


def test_audit(rung, study: str) -> None:
    assert "decisions derived again" in rung("audit", study).stdout
    found = json.loads(rung("audit", study, "--json").stdout)
    assert found["differences"] == []
    assert found["decisions"] >= 12


def test_audit_shows_a_decision_that_was_not_the_policys(
    rung, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rung.samplers.random import RandomSampler
    from rung.space.draws import Rng

    suggest = RandomSampler.suggest
    monkeypatch.setattr(
        RandomSampler,
        "suggest",
        lambda self, space, history, request, rng: suggest(
            self, space, history, request, Rng(99, rng.number)
        ),
    )
    done = rung("audit", study)
    assert done.exit_code == 1
    assert "derived JobStarted(trial=0" in done.stdout


def test_notes(rung, study: str) -> None:
    assert rung("note", study, "the data was cleaned").exit_code == 0
    assert json.loads(rung("show", study, "--json").stdout)["notes"] == ["the data was cleaned"]
    assert "the data was cleaned" in rung("show", study).stdout
    assert rung("note", "nobody", "hello").exit_code == 2


def test_an_enqueued_configuration_runs_next(rung, study: str) -> None:
    trials = json.loads(rung("export", study, "--format", "json").stdout)
    config = trials[0]["config"]
    said = f"{study} keeps it, but all its {len(trials)} trials are used: rung extend {study} --trials"
    for count, words in enumerate(("1 configuration waits", "2 configurations wait"), 1):
        done = rung("enqueue", study, json.dumps(config))
        assert (done.exit_code, done.stderr) == (0, f"{said} {count}, then rung resume {study}\n")
        assert f"enqueued   {words}\n" in rung("show", study).stdout
    assert json.loads(rung("show", study, "--json").stdout)["enqueued"] == [config, config]
    assert rung("extend", study, "--trials", 2).exit_code == 0
    assert rung("resume", study).exit_code == 0
    after = json.loads(rung("export", study, "--format", "json").stdout)
    assert len(after) == len(trials) + 2
    assert [trial["config"] for trial in after[-2:]] == [config, config]
    assert "enqueued" not in rung("show", study).stdout


def test_a_configuration_is_told_when_its_turn_comes(rung, folder) -> None:
    with package.Study({"x": package.Float(0, 1)}, trials=2, storage="other.db", study="small") as study:
        study.tell(study.ask(), 0.5)
    place = ("--storage", "other.db")
    said = [rung("enqueue", "small", '{"x": 0.25}', *place).stderr for _ in range(2)]
    assert said[0] == "small runs it next\n"
    assert said[1] == (
        "small keeps it, but all its 2 trials are used before its turn: rung extend small --trials 1 "
        "--storage other.db, then rung resume small --objective FILE.py:FUNCTION --storage other.db\n"
    )


@pytest.mark.parametrize("config", ["{", "[1]", '{"nothing": 1}'])
def test_a_configuration_that_is_none_is_refused(rung, study: str, config: str) -> None:
    done = rung("enqueue", study, config)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("request_", ["pause", "stop"])
def test_pause_and_stop_want_a_running_study(rung, study: str, request_: str) -> None:
    done = rung(request_, study)
    assert (done.exit_code, "does not run now" in done.stderr) == (2, True)


def test_logs(rung, objective: str, folder) -> None:
    (folder / "talking.py").write_text(
        "import rung\nspace = {'x': rung.Float(0, 1)}\n"
        "def train(config):\n    print('hello')\n    return config['x']\n"
    )
    rung("tune", "talking.py", "--trials", 2, "--study", "s")
    assert rung("logs", "s", "--trial", 1).stdout.splitlines()[-1] == "hello"
    assert rung("logs", "s", 1).stdout == rung("logs", "s", "--trial", 1).stdout
    assert "name one trial, not 0 and 1" in rung("logs", "s", 0, "--trial", 1).stderr
    assert rung("logs", "s").stdout.count("hello") == 2
    found = json.loads(rung("logs", "s", "--json").stdout)
    assert [row["trial"] for row in found if row["line"] == "hello"] == [0, 1]
    assert "there is no trial 7" in rung("logs", "s", "--trial", 7).stderr
    rung("tune", objective, "--trials", 1, "--executor", "inline", "--study", "silent")
    silent = rung("logs", "silent")
    assert (silent.exit_code, silent.stdout) == (0, "")
    assert "no job of study silent printed anything but reports" in silent.stderr
    assert "no job of trial 0 of silent" in rung("logs", "silent", 0).stderr
    assert json.loads(rung("logs", "silent", "--json").stdout) == []


def test_methods(rung) -> None:
    rows = json.loads(rung("methods", "--json").stdout)
    kinds = {row["kind"] for row in rows}
    assert kinds == {
        "sampler",
        "scheduler",
        "combination",
        "learner",
        "search strategy",
    }
    assert {"kde", "random", "grid", "asha", "hyperband", "bohb", "asap"} <= {row["name"] for row in rows}
    shown = rung("methods").stdout
    assert all(row["line"] in shown for row in rows)
    assert not [row for row in rows if row["line"].endswith(".") or " & " in row["paper"]]
    forest, process = (
        (r["line"], r["paper"])
        for r in rows
        if r["name"] in ("forest", "gaussian_process") and r["kind"] == "learner"
    )
    assert forest == ("random forest", "Breiman 2001")
    assert process == ("Gaussian process", "Rasmussen, Williams 2006")


def test_plain_values() -> None:
    assert output.plain({"a": (float("nan"), -float("inf")), 1: None}) == {
        "a": ["NaN", "-Infinity"],
        "1": None,
    }


def test_names_and_values_are_not_markup(rung, folder) -> None:
    (folder / "marked.py").write_text(
        "import rung\n"
        'space = {"a[/i]": rung.Categorical(["[/b]", "[red]"]), ":a:": rung.Constant(1)}\n'
        "def train(config):\n    return 1.0\n"
    )
    done = rung("tune", "marked.py", "--trials", 6, "--executor", "inline", "--study", "[/x] :a:")
    assert done.exit_code == 0, done.stderr
    assert "study [/x] :a: begins" in done.stderr
    assert "  a[/i] = [" in done.stdout
    shown = rung("show", "[/x] :a:")
    assert shown.exit_code == 0
    assert "a[/i]=[/b], :a:=1" in shown.stdout
    assert "a[/i]=[red], :a:=1" in shown.stdout
    assert "[/x] :a:" in rung("list").stdout
    rung("delete", "[/x] :a:", "--yes")
    gone = rung("show", "[/x]")
    assert "there is no study '[/x]'" in gone.stderr


def test_a_note_leaves_the_state_and_more_budget_does_not(rung, study: str) -> None:
    def state() -> str:
        return json.loads(rung("list", "--json").stdout)[0]["state"]

    assert state() == "done"
    assert rung("note", study, "looks good").exit_code == 0
    assert state() == "done"
    assert rung("extend", study, "--trials", 3).exit_code == 0
    assert state() == "idle"
    assert rung("resume", study).exit_code == 0
    assert state() == "done"


def test_a_study_whose_process_was_killed_does_not_run(rung, study: str) -> None:
    with sqlite3.connect("rung.db") as database:
        database.execute("update studies set state = 'running'")
    database.close()
    assert json.loads(rung("list", "--json").stdout)[0]["state"] == "interrupted"
    assert json.loads(rung("show", study, "--json").stdout)["state"] == "interrupted"
    assert "made (tune, interrupted)" in rung("show", study).stdout


def test_none_is_shown_as_a_value() -> None:
    from rung.cli import output

    assert output.settings({"act": None, "x": 0.5, "sizes": [64, 64]}) == "act=None, x=0.5, sizes=[64, 64]"
    assert output.number(None) == "-"  # of a metric: there is none
