"""`rung tune --command`: any program as the training code, and its way on from another folder."""

import json
import shutil
import time
from pathlib import Path

import pytest

from rung.errors import RungError
from rung.storage import open_storage
from rung.trials.events import CheckpointSaved, JobStarted, Recorded, Reported

EXAMPLES = Path(__file__).parents[2] / "examples"
SPACE = """
{"version": 1, "parameters": {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "kind": {"type": "choice", "branches": {
        "even": {}, "odd": {"parameters": {"y": {"type": "integer", "low": 1, "high": 9}}}
    }}
}}
"""
TRAIN = """
at=0
if [ -f $RUNG_CHECKPOINT/at ]; then at=$(cat $RUNG_CHECKPOINT/at); fi
echo "$RUNG_STUDY from $at: $@"
while [ $at -lt ${RUNG_RESOURCE:-1} ]; do
    if [ $at -ge 2 ]; then while [ -e hold ]; do sleep 0.05; done; fi
    at=$((at + 1)); echo $at > $RUNG_CHECKPOINT/new; mv $RUNG_CHECKPOINT/new $RUNG_CHECKPOINT/at
    printf 'rung: {"resource": %d, "loss": %s}\\n' $at "$1"
    read answer < $RUNG_ANSWERS
done
"""
COMMAND = "sh train.sh {x} --y {y}"


@pytest.fixture
def program(folder: Path) -> Path:
    (folder / "space.json").write_text(SPACE)
    (folder / "train.sh").write_text(TRAIN)
    return folder


def log(name: str, path: str = "rung.db") -> list:
    storage = open_storage(path)
    found = list(storage.read(name))
    storage.close()
    return found


def saved(name: str) -> int:
    """How many checkpoints the study's log has by now; 0 where it is not there yet."""
    try:
        return (
            sum(isinstance(event, CheckpointSaved) for event in log(name)) if Path("rung.db").exists() else 0
        )
    except RungError:
        return 0


def test_a_program_is_tuned_and_its_study_goes_on_without_the_command(rung, program: Path) -> None:
    args = ("tune", "--command", COMMAND, "--space", "space.json", "--resource", "step:1:4", "--eta", 2)
    done = rung(*args, "--trials", 6, "--sampler", "random", "--study", "s")
    assert done.exit_code == 0, done.stderr
    assert "note: the command does not mention kind: the program finds it in the file" in done.stderr
    assert "rungs: r = 1, R = 4 steps, eta = 2: 1, 2, 4" in done.stderr
    trials = json.loads(rung("export", "s").stdout)
    assert len(trials) == 6
    for trial in trials:
        assert {o["metrics"]["loss"] for o in trial["observations"]} == {trial["config"]["x"]}
    logs = rung("logs", "s").stdout
    assert "s from 0: 0." in logs
    odd = [t["config"] for t in trials if t["config"]["kind"] == "odd"]
    assert all(f"s from 0: {c['x']} --y {c['y']}\n" in logs for c in odd)
    assert 0 < len(odd) < 6
    assert "--y\n" not in logs
    assert rung("extend", "s", "--trials", 2).exit_code == 0
    assert rung("resume", "s", "--executor", "inline").exit_code == 0
    assert len(json.loads(rung("export", "s").stdout)) == 8
    assert rung("audit", "s").exit_code == 0


def test_paused_by_another_process_and_resumed_in_another_folder(
    rung, start, program: Path, tmp_path_factory, monkeypatch
) -> None:
    (program / "hold").touch()  # here nothing comes beyond two steps
    process = start(
        "tune", "--command", COMMAND, "--space", "space.json", "--resource", "step:3:6", "--eta", 2,
        "--trials", 4, "--workers", 2, "--study", "s", "--sampler", "random",
    )  # fmt: skip
    while saved("s") < 4:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    assert rung("pause", "s").exit_code == 0
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "go on with: rung resume s" in said
    before = log("s")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("RUNG_STORAGE", str(program / "rung.db"))
    monkeypatch.chdir(elsewhere)
    lost = rung("resume", "s")
    assert lost.exit_code == 2
    assert f"there is no file train.sh in {elsewhere}: a command runs in the folder" in lost.stderr
    shutil.copy(program / "train.sh", elsewhere)
    done = rung("resume", "s")
    assert done.exit_code == 0, done.stderr
    after = log("s", str(program / "rung.db"))
    assert after[: len(before)] == before
    assert sum(isinstance(e, JobStarted) and e.values is not None for e in after) == 4
    assert sum(isinstance(e, Recorded) and e.topic == "command" for e in after) == 1
    reached = [(e.trial, e.resource) for e in after if isinstance(e, Reported)]
    assert len(set(reached)) == len(reached), "no step was trained twice: each went on from its checkpoint"


@pytest.mark.filterwarnings("ignore:the objective's code has changed")
def test_a_command_that_moved(rung, program: Path) -> None:
    args = ("--space", "space.json", "--executor", "inline", "--study", "s", "--sampler", "random")
    assert rung("tune", "--command", "sh train.sh {x}", *args, "--trials", 2).exit_code == 0
    (program / "train.sh").rename("moved.sh")
    rung("extend", "s", "--trials", 1)
    assert rung("resume", "s", "--command", "sh moved.sh {z}").exit_code == 2
    assert rung("resume", "s", "--command", "sh moved.sh {x}").exit_code == 0
    kept = [e.data for e in log("s") if isinstance(e, Recorded) and e.topic == "command"]
    assert [data["command"] for data in kept] == ["sh train.sh {x}", "sh moved.sh {x}"]
    rung("extend", "s", "--trials", 1)
    assert rung("resume", "s").exit_code == 0
    assert len(json.loads(rung("export", "s").stdout)) == 4


def test_a_shell_runs_what_only_a_shell_can(rung, program: Path) -> None:
    text = """x={x}; echo "rung: {\\"loss\\": $x}" | cat && true"""
    done = rung("tune", "--command", text, "--shell", "--space", "space.json", "--trials", 2, "-q")
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ([], "say what to tune: FILE.py, or any program"),
        (["--command", "sh train.sh {x}", "--trials", 3], "no search space: a command has none of its own"),
        (["--command", "sh train.sh {z}"], "{z}, which is no parameter: the space has x, kind, y."),
        (["--command", "sh train.sh {knd}"], "did you mean {kind}? For the text itself write {{knd}}"),
        (["--command", "sh 'train.sh"], "cannot be cut into words"),
        (["--command", " "], "the command is empty"),
        (["--command", "shh train.sh"], "there is no program 'shh' in this folder or on the PATH"),
        (["--command", "sh train.sh"], "say when it ends"),
        (["--command", "sh train.py {x}", "--trials", 1], "there is no file train.py in "),
        (["train.py", "--command", "sh train.sh {x}"], "name either a file or --command, not both"),
        (["train.py", "--shell"], "--shell says how a --command is run"),
    ],
)
def test_bad_commands_write_nothing(rung, program: Path, args: list, sentence: str) -> None:
    if "end" not in sentence and "--trials" not in args:
        args = [*args, "--trials", 3]
    if "no search space" not in sentence:
        args = [*args, "--space", "space.json"]
    done = rung("tune", *args)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in program.iterdir()) == ["space.json", "train.sh"]


@pytest.mark.parametrize(
    ("folder_name", "command", "options"),
    [
        ("shell", "sh {folder}/train.sh {{lr}} {{momentum}}", []),
        ("node", "node {folder}/train.js", ["--metric", "accuracy", "--mode", "max"]),
    ],
)
def test_the_examples(rung, folder_name: str, command: str, options: list) -> None:
    if shutil.which(command.split()[0]) is None:
        pytest.skip("Node is not installed")
    home = EXAMPLES / folder_name
    done = rung(
        "tune", "--command", command.format(folder=home), "--space", home / "space.json", "--resource",
        "epoch:1:4", "--eta", 2, "--trials", 4, "--executor", "inline", "--study", "s", *options,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    trials = json.loads(rung("export", "s").stdout)
    assert max(len(trial["observations"]) for trial in trials) >= 2
    assert all(trial["state"] in ("paused", "complete") for trial in trials)
