"""`rung.executors.command`: a program as the objective, and what each of its ends becomes."""

import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rung
from rung.errors import StudyError
from rung.executors.base import Executor, Job
from rung.executors.command import Command
from rung.executors.inline import InlineExecutor
from rung.executors.local import LocalExecutor
from rung.executors.setup import Setup
from rung.trials.events import CheckpointSaved, Event, Failure, JobFailed, JobFinished, JobStopped, Reported

END = (JobFinished, JobFailed, JobStopped)
SPEAK = 'printf \'rung: {"resource": %s, "loss": 0.5}\\n\' '


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Command]:
    """Makes a command that runs this text as a shell script."""

    def made(text: str, grace: float = 10.0) -> Command:
        monkeypatch.setenv("TEST_SCRIPT", text)
        return Command("""/bin/sh -c 'eval "$TEST_SCRIPT"'""", study="s", grace=grace)

    return made


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., list[Any]]:
    """Runs one job in line; returns its events."""

    def run(command: Command, until: int = 3, **job: Any) -> list[Any]:
        executor = InlineExecutor(Setup(command, "loss", 1, tmp_path / "study"))
        config = job.pop("config", {"x": 0.25})
        executor.submit([Job(7, until, config, **job)])
        return executor.poll(None)

    return run


def until_end(
    executor: Executor, wanted: Callable[[Event], bool] = lambda event: isinstance(event, END)
) -> list[Any]:
    seen: list[Any] = []
    while not any(map(wanted, seen)):
        seen += executor.poll(5.0)
    return seen


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[..., LocalExecutor]]:
    made: list[LocalExecutor] = []

    def make(command: Command, **limits: Any) -> LocalExecutor:
        made.append(LocalExecutor(Setup(command, "loss", 1, tmp_path / "study", **limits)))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


def gone(pid: int) -> bool:
    """Whether the process ends, within the time that a kill may take."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_it_reports_and_finishes(ran, script, tmp_path: Path) -> None:
    events = ran(script("for i in 1 2 3; do " + SPEAK + "$i; done"))
    assert [(e.trial, e.resource, e.metrics) for e in events[:-1]] == [
        (7, i, {"loss": 0.5}) for i in (1, 2, 3)
    ]
    assert isinstance(events[-1], JobFinished)
    assert not list((tmp_path / "study").glob("*/resource*")), "an empty folder is no checkpoint"


def test_what_it_finds_in_its_environment(ran, script, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RUNG_TOKEN", "secret")
    monkeypatch.setenv("RUNG_RESOURCE", "99")
    out = tmp_path / "said"
    text = f"env | grep ^RUNG_ > {out}; {{ echo END; pwd; cat; cat $RUNG_CONFIG; }} >> {out}; "
    config = {"x": 0.1 + 0.2, "kind": "a b", "on": True}
    assert isinstance(
        ran(script(text + SPEAK + "3"), config=config, seed=11, start=1, devices=2)[-1], JobFinished
    )
    variables, rest = out.read_text().split("END\n")
    folder, settings = rest.split("\n")  # and nothing on its standard input
    assert (folder, json.loads(settings)) == (os.getcwd(), config)
    said = dict(line.split("=", 1) for line in variables.splitlines())
    for name in ("RUNG_CONFIG", "RUNG_CHECKPOINT", "RUNG_ANSWERS"):
        assert not os.path.exists(said.pop(name)), "its folder goes with it"
    assert said == {
        "RUNG_PROTOCOL": "1", "RUNG_STUDY": "s", "RUNG_TRIAL": "7", "RUNG_SEED": "11", "RUNG_START": "1",
        "RUNG_RESOURCE": "3", "RUNG_DEVICES": "2",
    }  # fmt: skip
    ran(script(f"env | grep ^RUNG_RES > {out}; " + SPEAK + "3"), until=1, plain=True)
    assert out.read_text() == "", "a study without a resource has none"


@pytest.mark.parametrize(
    ("text", "failure", "message"),
    [
        ("echo one >&2; echo two >&2; exit 3", Failure.ERROR, "exit code 3: one | two"),
        ("exit 1", Failure.ERROR, "exit code 1, and printed nothing on its standard error"),
        ("seq 2000 >&2; printf half >&2; exit 1", Failure.ERROR, "code 1: 1997 | 1998 | 1999 | 2000 | half"),
        ("head -c 300000 /dev/zero >&2; exit 1", Failure.ERROR, r"exit code 1: \x00\x00"),
        ("kill -KILL $$", Failure.LOST, "was killed by SIGKILL (as the system does when memory runs out)"),
        ("kill -SEGV $$", Failure.LOST, "was killed by SIGSEGV"),
        ("exit 137", Failure.LOST, "was killed by SIGKILL"),
        ("echo 'torch.OutOfMemoryError: CUDA out of memory' >&2; exit 1", Failure.MEMORY, "OutOfMemoryError"),
        ("echo MemoryError >&2; exit 1", Failure.MEMORY, "exit code 1: MemoryError"),
        ("true", Failure.ERROR, 'told no metric: it must print a line of its own such as rung: {"loss"'),
        ("printf 'rung: {\"loss\": '", Failure.ERROR, "is no JSON"),
        ("printf 'rung: {\"loss\": '; exit 3", Failure.ERROR, "exit code 3"),
        ("echo 'rung: nonsense'; sleep 60", Failure.ERROR, "a report line is no JSON"),
        ("echo 'rung: {\"resource\": 1, \"loss\": \"low\"}'", Failure.ERROR, "'loss' must be a number"),
        ("echo 'rung: {\"resource\": 1, \"loss\": 1}'", Failure.ERROR, "ended at 1 of 3"),
        ("echo 'rung: {\"infeasible\": \"too deep\"}'; sleep 60", Failure.INFEASIBLE, "too deep"),
    ],
)  # fmt: skip
def test_how_it_fails(ran, script, text: str, failure: Failure, message: str) -> None:
    *_, end = ran(script(text))
    assert isinstance(end, JobFailed)
    assert (end.failure, message in end.message) == (failure, True), end.message
    assert len(end.message) <= 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [("/no/such/program", "No such file"), ("{file}", "Permission denied"), ("sh {x}", "null byte")],
)
def test_what_cannot_be_started(ran, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plain").write_text("no program")
    *_, end = ran(Command(text), config={"file": str(tmp_path / "plain"), "x": "a\0b"})
    assert (end.failure, message in end.message) == (Failure.ERROR, True), end.message


@pytest.mark.parametrize("what", ["$RUNG_CHECKPOINT", "$RUNG_ANSWERS", "$(dirname $RUNG_CONFIG)"])
def test_what_the_program_removes_costs_it_nothing_else(ran, script, tmp_path: Path, what: str) -> None:
    events = ran(script(f'rm -rf "{what}"; ' + SPEAK + "3"))
    assert [event.metrics for event in events[:-1]] == [{"loss": 0.5}]
    assert isinstance(events[-1], JobFinished)


def test_a_checkpoint_that_is_no_folder_is_said(ran, script) -> None:
    *_, end = ran(script('rmdir "$RUNG_CHECKPOINT"; echo a > "$RUNG_CHECKPOINT"; ' + SPEAK + "3"))
    assert (end.failure, "RUNG_CHECKPOINT names no folder any more" in end.message) == (Failure.ERROR, True)


def test_numbers_that_are_none_are_reported_as_such(ran, script) -> None:
    events = ran(
        script('echo \'rung: {"resource": 1, "loss": nan}\'; echo \'rung: {"resource": 3, "loss": -inf}\'')
    )
    assert [str(event.metrics["loss"]) for event in events[:-1]] == ["nan", "-inf"]
    assert isinstance(events[-1], JobFinished)


def test_what_it_prints_besides_goes_where_the_objective_prints(ran, script, capfd) -> None:
    text = (
        "echo begin; printf '\\377\\0binary\\n'; head -c 200000 /dev/zero | tr '\\0' y; echo; echo dire >&2; "
    )
    ran(script(text + SPEAK + "3"))
    out, err = capfd.readouterr()
    assert out == "begin\n\\xff\0binary\n" + "y" * 200_000 + "\n"
    assert err == "dire\n"


COUNTING = """
at=0
if [ -f $RUNG_CHECKPOINT/deep/at ]; then at=$(cat $RUNG_CHECKPOINT/deep/at); fi
echo "from $RUNG_START, at $at"
mkdir -p $RUNG_CHECKPOINT/deep
while [ $at -lt $RUNG_RESOURCE ]; do
    at=$((at + 1)); echo $at > $RUNG_CHECKPOINT/deep/at
    printf 'rung: {"resource": %d, "loss": 0.5}\\n' $at
    read answer < $RUNG_ANSWERS
    echo $answer
done
"""


def test_checkpoints_are_what_the_folder_holds_at_each_report(ran, script, tmp_path: Path, capfd) -> None:
    events = ran(script(COUNTING), until=3)
    saved = [event for event in events if isinstance(event, CheckpointSaved)]
    assert [event.resource for event in saved][-1] == 3
    for event in saved:
        text = (tmp_path / "study" / event.path / "deep" / "at").read_text()
        assert text == f"{event.resource}\n", "the program waited for the copy"
    again = ran(script(COUNTING), until=5, start=3, checkpoint=str(tmp_path / "study" / saved[-1].path))
    assert [event.resource for event in again if isinstance(event, Reported)] == [4, 5]
    out = capfd.readouterr().out
    assert out.splitlines() == ["from 0, at 0", *["go"] * 3, "from 3, at 3", *["go"] * 2]
    assert (tmp_path / "study" / saved[-1].path / "deep" / "at").read_text() == "3\n", (
        "it has a copy of its own"
    )


def test_copies_that_take_long_are_made_less_often(ran, script, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("rung.executors.command._DUTY", 1e9)
    events = ran(script(COUNTING), until=5)
    assert [event.resource for event in events if isinstance(event, CheckpointSaved)] == [1, 5]
    plain = script(
        "for i in 1 2 3; do echo $i > $RUNG_CHECKPOINT/at; " + SPEAK + "1; read a < $RUNG_ANSWERS; done"
    )
    *_, saved, end = ran(plain, until=1, plain=True)
    assert isinstance(end, JobFinished)
    assert (tmp_path / "study" / saved.path / "at").read_text() == "3\n", (
        "nobody knew which report was the last"
    )


def test_a_program_that_reads_no_answers_is_not_blocked(ran, script) -> None:
    text = "i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); " + SPEAK + "$i; done"
    events = ran(script(text), until=2000)
    assert len(events) == 2001


def test_report_in_a_python_program(ran, tmp_path: Path) -> None:
    file = tmp_path / "prog.py"
    file.write_text(
        "import os, pathlib, rung\n"
        "for at in range(1, int(os.environ['RUNG_RESOURCE']) + 1):\n"
        "    rung.report(at, save=lambda f: pathlib.Path(f, 'at').write_text(str(at)), loss=1 / at)\n"
    )
    events = ran(Command(f"{sys.executable} {file}"))
    assert [event.metrics["loss"] for event in events if isinstance(event, Reported)] == [1, 1 / 2, 1 / 3]
    saved = [event for event in events if isinstance(event, CheckpointSaved)]
    assert [(tmp_path / "study" / e.path / "at").read_text() for e in saved] == [
        str(e.resource) for e in saved
    ]


def test_told_to_stop_it_gets_sigterm_and_may_report_once_more(local, script, tmp_path: Path) -> None:
    text = (
        "trap '"
        + SPEAK.replace("'", "'\\''")
        + "2; exit 0' TERM; "
        + SPEAK
        + "1; while :; do sleep 0.05; done"
    )
    executor = local(script(text))
    executor.submit([Job(7, 9, {})])
    until_end(executor, lambda event: isinstance(event, Reported))
    executor.cancel(7)
    events = until_end(executor)
    assert [type(event) for event in events] == [Reported, JobStopped]
    assert events[0].resource == 2


def test_one_that_does_not_hear_is_killed_with_all_it_started(local, script, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = f"trap '' TERM; sleep 600 & echo $! $$ > {pids}; " + SPEAK + "1; wait; sleep 600"
    executor = local(script(text, grace=0.3))
    executor.submit([Job(7, 9, {})])
    until_end(executor, lambda event: isinstance(event, Reported))
    executor.cancel(7)
    (end,) = until_end(executor)
    assert isinstance(end, JobStopped)
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_a_gate_stops_it_at_that_very_report(local, script) -> None:
    executor = local(script("for i in 1 2 3; do " + SPEAK + "$i; done; sleep 600"))
    executor.submit([Job(7, 9, {}, gates=(1,))])
    (first,) = until_end(executor, lambda event: isinstance(event, Reported))
    executor.cancel(7)
    assert first.resource == 1
    assert isinstance(until_end(executor)[-1], JobStopped)


HOLD = f"{sys.executable} -c 'import time; x = b\"y\" * (300 << 20); time.sleep(600)'"


@pytest.mark.parametrize(
    ("limits", "child", "failure"),
    [
        ({"trial_seconds": 0.5}, "sleep 600", Failure.TIMEOUT),
        ({"trial_memory": 150 << 20}, HOLD, Failure.MEMORY),
    ],
)
def test_limits_hold_for_its_children_too(local, script, tmp_path: Path, limits, child, failure) -> None:
    pids = tmp_path / "pids"
    executor = local(script(f"{child} & echo $! > {pids}; wait"), **limits)
    executor.submit([Job(7, 9, {})])
    (end,) = until_end(executor)
    assert end.failure == failure
    assert gone(int(pids.read_text()))


def test_a_worker_that_dies_takes_its_program_along(local, script, tmp_path: Path) -> None:
    said = tmp_path / "said"
    executor = local(script(f"echo $$ $PPID $RUNG_CHECKPOINT > {said}; " + SPEAK + "1; sleep 600"))
    executor.submit([Job(7, 9, {})])
    until_end(executor, lambda event: isinstance(event, Reported))
    pid, parent, folder = said.read_text().split()
    os.kill(int(parent), signal.SIGKILL)
    (end,) = until_end(executor)
    assert end.failure == Failure.LOST
    assert gone(int(pid))
    home = os.path.dirname(folder)
    for _ in range(500):
        if not os.path.exists(home):
            break
        time.sleep(0.02)
    assert not os.path.exists(home)


def test_a_time_limit_in_line_ends_it(script, tmp_path: Path) -> None:
    executor = InlineExecutor(Setup(script("sleep 600"), "loss", 1, tmp_path, trial_seconds=0.3))
    executor.submit([Job(7, 9, {})])
    (end,) = executor.poll(None)
    assert end.failure == Failure.TIMEOUT


def test_what_it_left_behind_is_ended(ran, script, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    *_, end = ran(script(f"sleep 600 & echo $! > {pids}; " + SPEAK + "3"))
    assert isinstance(end, JobFinished)
    assert gone(int(pids.read_text()))


def test_the_last_lines_count_however_late_they_are_read(ran, script, monkeypatch) -> None:
    monkeypatch.setattr("rung.executors.program._LINGER", 0.0)  # as on a machine that has no time for us
    for _ in range(5):
        events = ran(script("sleep 600 & seq 10000; " + SPEAK + "3"))
        assert isinstance(events[-1], JobFinished)


def test_a_guard_that_cannot_be_started_leaves_no_program(ran, script, tmp_path: Path, monkeypatch) -> None:
    def refused(group: int, home: str) -> None:
        raise BlockingIOError(11, "no more processes")

    monkeypatch.setattr("rung.executors.program._guard", refused)
    *_, end = ran(script("sleep 600"))
    assert (end.failure, "cannot be started" in end.message) == (Failure.LOST, True)


def test_the_same_study_under_either_executor(tmp_path: Path) -> None:
    (tmp_path / "half.awk").write_text(
        'BEGIN { for (i = 1; i <= ENVIRON["RUNG_RESOURCE"]; i++)'
        ' printf "rung: {\\"resource\\": %d, \\"loss\\": %s}\\n", i, x / i }'
    )
    command = Command(f"awk -v x={{x}} -f {tmp_path / 'half.awk'}")
    assert pickle.loads(pickle.dumps(command)) == command
    settings = {"resource": "step:1:9", "trials": 6, "sampler": "random", "seed": 3, "deterministic": True}
    found = [
        rung.tune(command, {"x": rung.Float(0, 1)}, executor=executor, workers=workers, **settings)
        for executor, workers in (("inline", 1), ("local", 2))
    ]
    assert found[0].best.value == found[1].best.value
    assert len(found[0].trials) == 6


def test_report_in_an_objective_and_outside(capsys) -> None:
    def objective(config: dict, budget: int) -> None:
        for at in range(1, budget + 1):
            rung.report(at, loss=config["x"] / at)

    result = rung.tune(
        objective, {"x": rung.Float(0, 1)}, resource=("step", 1, 3), trials=2, sampler="random"
    )
    assert result.trials[0].observations[0].resource == 1
    rung.report(3, loss=0.25, acc=1)
    rung.report(loss=2)
    assert capsys.readouterr().out == "resource 3: loss 0.25, acc 1\nloss 2\n"
    with pytest.raises(StudyError, match="needs a metric"):
        rung.report(3)
