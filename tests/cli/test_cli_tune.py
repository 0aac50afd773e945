"""`rung tune`, `resume` and `extend` on real files."""

import json

import pytest

from rung.storage import open_storage
from rung.trials.events import JobStarted, Recorded, SessionStarted


def events(name: str) -> list:
    storage = open_storage("rung.db")
    found = list(storage.read(name))
    storage.close()
    return found


def trials(rung, name: str) -> list[dict]:
    return json.loads(rung("export", name).stdout)


def test_tune_says_what_will_run_and_what_was_found(rung, objective: str) -> None:
    done = rung("tune", objective, "--trials", 9, "--study", "s")
    assert done.exit_code == 0
    assert "study s begins: sampler auto, scheduler asha, 3 parameters, 1 job at a time" in done.stderr
    assert "cost: about" in done.stderr
    assert "rung show s" in done.stderr
    assert done.stdout.startswith("best loss ")
    assert "  x = " in done.stdout
    assert len(trials(rung, "s")) == 9
    assert [event.executor for event in events("s") if isinstance(event, SessionStarted)] == ["local"]


def test_the_plan_of_hyperband(rung, objective: str) -> None:
    done = rung("tune", objective, "--trials", 22, "--method", "hyperband", "--executor", "inline")
    rows = [line.split() for line in done.stderr.splitlines()]
    assert ["1", "1", "9", "9"] in rows
    assert ["3", "3", "3"] in rows
    assert ["9", "1", "1"] in rows


def test_options_beat_the_file(rung, objective: str) -> None:
    args = (
        "--metric",
        "score",
        "--mode",
        "max",
        "--resource",
        "epoch:1:1",
        "--scheduler",
        "plain",
        "--seed",
        7,
    )
    done = rung("tune", f"{objective}:plain", "--trials", 4, "--executor", "inline", "--study", "s", *args)
    assert done.exit_code == 0, done.stderr
    shown = json.loads(rung("show", "s", "--json").stdout)
    assert shown["identity"]["metric"] == "score"
    assert shown["identity"]["seed"] == 7
    assert shown["identity"]["scheduler"]["name"] == "plain"
    assert shown["incumbent"]["value"] == max(
        t["observations"][0]["metrics"]["score"] for t in trials(rung, "s")
    )


def test_no_usable_result_is_1(rung, objective: str) -> None:
    done = rung("tune", f"{objective}:failing", "--trials", 3, "--executor", "inline")
    assert done.exit_code == 1
    assert "no trial has a value: 3 of 3 failed with: ValueError: it does not work" in done.stderr
    assert done.stdout == ""


def test_what_failed_is_said(rung, objective: str) -> None:
    odd = f"{objective}:odd"
    done = rung("tune", odd, "--trials", 9, "--executor", "inline", "--sampler", "random", "--study", "s")
    assert done.exit_code == 0
    assert "with: ValueError: no [/b] for " in done.stderr
    assert "of them" in done.stderr
    assert "(more: rung logs s)" in done.stderr
    assert "failures   " in rung("show", "s").stdout
    done = rung("tune", f"{objective}:endless", "--trials", 1, "--executor", "inline")
    assert done.exit_code == 1
    assert "1 trial, all" in done.stderr
    assert (
        "no trial has a value: 1 of 1 failed with: a value of loss that is NaN, infinite or missing"
        in done.stderr
    )


def test_a_function_that_cannot_be_called_writes_nothing(rung, folder, objective: str) -> None:
    done = rung("tune", f"{objective}:three", "--trials", 3)
    assert done.exit_code == 2
    assert "it must take (trial), (config) or (config, budget)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "rung.db").exists()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ([], "say when it ends"),
        (["--budget", "-5"], "-5"),
        (["--budget", "soon"], "'soon' is no length of time"),
        (["--trials", 3, "--sampler", "kdd"], "did you mean 'kde'?"),
        (["--trials", 3, "--scheduler", "ahsa"], "did you mean 'asha'?"),
        (["--trials", 3, "--method", "bobh"], "did you mean 'bohb'?"),
        (["--trials", 3, "--method", "bohb", "--sampler", "kde"], "either --method or"),
        (["--trials", 3, "--executor", "lokal"], "did you mean 'local'?"),
        (["--trials", 3, "--resource", "epoch:9:1"], "resource 'epoch:9:1'"),
        (["--trials", 3, "--resource", ":a:9"], "resource ':a:9'"),
        (["--trials", 3, "--resource", ":1:9"], "'' is no name"),
        (["--trials", 3, "--study", "-x"], "'-x' cannot name a study"),
        (["--trials", 3, "--mode", "best"], "mode 'best' is neither"),
        (["--trials", 3, "--trial-memory", "lots"], "'lots' is no amount of memory"),
        (["--trials", 3, "--storage", "nowhere/study.txt"], "is no storage"),
        (["--trials", 3, "--eta", 1], "eta 1"),
    ],
)
def test_bad_input_writes_nothing(rung, folder, objective: str, args: list, sentence: str) -> None:
    done = rung("tune", objective, *args)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in folder.iterdir() if path.name not in (objective, "__pycache__")] == []


def test_a_storage_that_cannot_be_written(rung, folder, objective: str) -> None:
    (folder / "taken").write_text("no folder")
    done = rung("tune", objective, "--trials", 3, "--storage", "taken/study.db")
    assert done.exit_code == 2
    assert "taken" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_same_study_goes_on_and_another_is_refused(rung, objective: str) -> None:
    args = ("tune", objective, "--executor", "inline", "--study", "s")
    assert rung(*args, "--trials", 3).exit_code == 0
    again = rung(*args, "--trials", 5)
    assert again.exit_code == 0
    assert "study s goes on after 3 trials" in again.stderr
    assert len(trials(rung, "s")) == 5
    other = rung(*args, "--trials", 5, "--eta", 4)
    assert other.exit_code == 2
    assert "eta was 3, now 4" in other.stderr


def test_resume_finds_the_objective(rung, objective: str, study: str, tmp_path_factory, monkeypatch) -> None:
    assert rung("extend", study, "--trials", 5).exit_code == 0
    monkeypatch.setenv("RUNG_STORAGE", str((rung_folder := __import__("pathlib").Path.cwd()) / "rung.db"))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    done = rung("resume", study)
    assert done.exit_code == 0, done.stderr
    assert len(trials(rung, study)) == 17
    monkeypatch.chdir(rung_folder)
    assert [event.executor for event in events(study) if isinstance(event, SessionStarted)] == [
        "inline",
        "inline",
    ]
    assert (
        len([event for event in events(study) if isinstance(event, Recorded) and event.topic == "command"])
        == 1
    )


def test_resume_of_what_is_finished_changes_no_trial(rung, study: str) -> None:
    before = trials(rung, study)
    assert rung("resume", study).exit_code == 0
    assert trials(rung, study) == before


def test_resume_elsewhere(rung, folder, objective: str, study: str) -> None:
    (folder / "moved.py").write_text((folder / objective).read_text())
    (folder / objective).unlink()
    rung("extend", study, "--trials", 2)
    lost = rung("resume", study)
    assert lost.exit_code == 2
    assert f"there is no file {folder / objective}, with which study" in lost.stderr
    assert "say where it lies now, --objective FILE.py:FUNCTION" in " ".join(lost.stderr.split())
    assert rung("resume", study, "--objective", "moved.py").exit_code == 0
    assert len(trials(rung, study)) == 14


def test_resume_of_a_study_from_python(rung, objective: str) -> None:
    import rung as package

    space = {"x": package.Float(0.0, 1.0)}
    package.tune(lambda config: config["x"], space, trials=3, storage="rung.db", study="mine")
    done = rung("resume", "mine")
    assert done.exit_code == 2
    assert "begun from Python" in done.stderr
    assert rung("extend", "mine", "--trials", 1).exit_code == 0  # nobody holds its lease


def test_extend_adds(rung, study: str) -> None:
    assert rung("extend", study, "--trials", 3).exit_code == 0
    assert json.loads(rung("show", study, "--json").stdout)["limits"]["trials"] == 15
    assert rung("extend", study, "--trials", 3).exit_code == 0
    assert json.loads(rung("show", study, "--json").stdout)["limits"]["trials"] == 18


def test_extend_refuses(rung, study: str) -> None:
    assert "say how much more" in rung("extend", study).stderr
    assert "--budget does not limit this study" in rung("extend", study, "--budget", "5m").stderr
    assert rung("extend", study, "--trials", 0).exit_code == 2
    assert json.loads(rung("show", study, "--json").stdout)["limits"]["trials"] == 12


def test_a_target_ends_it(rung, objective: str) -> None:
    done = rung("tune", objective, "--target", 5.0, "--executor", "inline", "--study", "s")
    assert done.exit_code == 0
    assert "the target is reached" in done.stderr
    assert len([event for event in events("s") if isinstance(event, JobStarted)]) == 1


def test_what_the_inline_executor_cannot_keep_is_refused_before_anything_is_written(rung, objective, folder):
    done = rung("tune", objective, "--trials", 4, "--executor", "inline", "--workers", 2)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert not (folder / "rung.db").exists()


@pytest.mark.parametrize(
    "args",
    [
        ("--checkpoints", "s3://me:secret@bucket/x"),
        ("--devices", 4, "--workers", 2),
        ("--fix", "nothing=1"),
    ],
    ids=["a password in a URL", "more devices than slots", "an unknown name"],
)
def test_what_is_refused_after_it_was_opened_leaves_no_study(rung, objective: str, args: tuple) -> None:
    done = rung("tune", objective, "--trials", 4, "--study", "s", *args)
    assert done.exit_code == 2, done.stderr
    assert json.loads(rung("list", "--json").stdout) == []
    assert rung("tune", objective, "--trials", 2, "--study", "s", "--executor", "inline").exit_code == 0
    assert rung("tune", objective, "--trials", 2, "--study", "s", *args).exit_code == 2
    assert len(trials(rung, "s")) == 2  # what ran is kept
