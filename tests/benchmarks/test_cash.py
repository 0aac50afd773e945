"""The judge: its splits, its runs, its clock's rows. Systems are small scripts that this test writes."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import benchmarks.cash.__main__ as command
import numpy as np
import pandas as pd
import pytest
from benchmarks.cash import running
from benchmarks.cash.rows import Row, append, read
from benchmarks.cash.running import constant_score, run, score
from benchmarks.cash.synthetic import MADE
from benchmarks.cash.systems import SYSTEMS, System
from benchmarks.cash.tables import TABLES, Table, labelled, split
from benchmarks.peers import PEERS
from sklearn.metrics import log_loss, roc_auc_score

from rung.tabular.meta import shipped

MEAN = """
from contest import Answer, contest


def fit(order):
    import numpy as np

    assert order.target not in order.test.columns
    assert 0 < order.left() < order.budget
    shares = order.train[order.target].value_counts(normalize=True)
    predict = lambda rows: np.tile(shares.to_numpy(), (len(rows), 1))
    return Answer(predict, list(shares.index), lambda folder: 2_000_000, order.test, "shares")


contest(fit, ["json"])
"""


@pytest.fixture(scope="module")
def wine():
    return split(TABLES["wine"], 0)


def _system(folder: Path, text: str) -> System:
    script = folder / "some_fit.py"
    script.write_text(text)
    return System("some", script, "a note")


def test_there_are_49_tables_and_every_system_has_its_script():
    assert len(TABLES) == 49
    assert sum(table.source == "given" for table in TABLES.values()) == 39
    for system in SYSTEMS.values():
        assert system.script.exists()
        assert not system.peer or system.peer in PEERS


def test_a_split_is_stratified_the_same_each_time_and_hides_the_target(wine):
    again, other = split(TABLES["wine"], 0), split(TABLES["wine"], 1)
    assert "target" not in wine.test.columns
    assert len(wine.test) == len(wine.y) == 54
    assert len(wine.train) == 124
    pd.testing.assert_frame_equal(wine.train, again.train)
    assert not wine.train.equals(other.train)
    assert (wine.y.value_counts() - wine.train.target.value_counts() * 54 / 124).abs().max() < 1


def test_labels_that_are_numbers_become_words_and_the_rarest_classes_go():
    table = Table("t", "multiclass", "y", "formula", lambda: pd.DataFrame())
    found = labelled(table, pd.DataFrame({"a": range(9), "y": [1, 1, 1, 2, 2, 2, 3, 3, None]}))
    assert found.y.tolist() == ["c1"] * 3 + ["c2"] * 3
    words = labelled(table, pd.DataFrame({"a": range(3), "y": ["u"] * 3}))
    assert words.y.tolist() == ["u"] * 3


@pytest.mark.parametrize("name", MADE)
def test_made_tables_are_the_same_each_time(name):
    task, make = MADE[name]
    frame = make()
    pd.testing.assert_frame_equal(frame, make())
    assert pd.api.types.is_numeric_dtype(frame.y) == (task == "regression")
    assert (frame.y.nunique() == 2) == (task == "binary")


def test_scores_are_scikit_learns_whatever_the_order_of_the_classes():
    rng = np.random.default_rng(0)
    y = pd.Series(rng.choice(["a", "b", "c"], 60))
    p = rng.dirichlet([1, 1, 1], 60)
    turned = p[:, [2, 0, 1]]
    assert score("multiclass", turned, ["c", "a", "b"], y) == pytest.approx(log_loss(y, p))
    two = pd.Series(np.where(y == "a", "no", "yes"))
    assert score("binary", p[:, [0, 1]], ["yes", "no"], two) == pytest.approx(
        roc_auc_score(two == "yes", p[:, 0] / (p[:, 0] + p[:, 1]))
    )
    assert score("regression", np.array([1.0, 4.0]), None, pd.Series([1.0, 2.0])) == pytest.approx(2**0.5)


def test_a_class_that_a_system_does_not_know_costs_it():
    y = pd.Series(["a", "b", "c"])
    assert score("multiclass", np.full((3, 2), 0.5), ["a", "b"], y) > 10


def test_rung_is_run_as_if_it_had_never_seen_the_table(tmp_path):
    known = shipped()
    seen = known.tables[0]
    script = "from rung.tabular.meta.memory import current\n" + MEAN
    system = _system(tmp_path, script.replace('"shares")', '",".join(current().tables))'))
    table = TABLES["wine"]._replace(name=seen)
    row = run(system, table, 0, 9.0, split(table, 0))
    assert row.failed == ""
    assert row.note == ",".join(known.tables[1:])


def test_a_run_is_scored_timed_and_weighed(tmp_path, wine):
    row = run(_system(tmp_path, MEAN), TABLES["wine"], 0, 5.0, wine)
    assert row.failed == ""
    assert row.score == pytest.approx(row.constant)
    assert row.constant == pytest.approx(constant_score(TABLES["wine"], wine), rel=1e-5)
    assert 0 < row.start < row.fitted <= row.wall + 0.001  # rounded by the script
    assert row.size_mb == 2.0
    assert row.peak_mb > 10
    assert row.predict_ms > 0
    assert (row.rows, row.columns, row.note) == (124, 13, "shares")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise ValueError('out of luck')", "ValueError: out of luck"),
        ("", "no predictions were written"),
        (MEAN.replace("shares.to_numpy()", "shares.to_numpy() * np.nan"), "not finite"),
    ],
)
def test_a_run_that_fails_says_why(tmp_path, wine, text, why):
    row = run(_system(tmp_path, text), TABLES["wine"], 0, 5.0, wine)
    assert row.score is None
    assert why in row.failed
    assert row.loss() == pytest.approx(row.constant)


def test_a_run_that_hangs_is_killed_with_its_children(tmp_path, wine, monkeypatch):
    monkeypatch.setattr(running, "patience", lambda _: 1.0)
    child = "import subprocess, sys, time\np = subprocess.Popen(['sleep', '99'])\n"
    text = child + f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid))\ntime.sleep(99)"
    row = run(_system(tmp_path, text), TABLES["wine"], 0, 5.0, wine)
    assert row.failed == "killed after 1 s"
    import psutil

    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):  # an orphan is scheduled to die, then reaped, when its turn comes
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the child outlived its parent")


def test_patience_is_three_budgets_and_a_minute():
    assert running.patience(30.0) == 150.0
    assert running.patience(0.0) == running.UNTIMED


@pytest.mark.parametrize(("name", "share"), [("rung", 1.0), ("forest", 0.5), ("lightgbm", 0.5)])
def test_own_systems_beat_a_constant(name, share, wine):
    row = run(SYSTEMS[name], TABLES["wine"], 0, 3.0 if SYSTEMS[name].timed else 0.0, wine)
    assert row.failed == ""
    assert row.score < share * row.constant
    assert row.size_mb > 0
    assert row.version


def _row(**given: object) -> Row:
    plain = {
        "system": "rung",
        "table": "wine",
        "split": 0,
        "budget": 10.0,
        "task": "multiclass",
        "metric": "log_loss",
        "score": 0.1,
        "constant": 1.0,
        "wall": 9.0,
        "start": 1.0,
        "fitted": 8.0,
        "peak_mb": 100.0,
        "size_mb": 1.0,
        "predict_ms": 5.0,
        "rows": 100,
        "columns": 5,
        "cores": 2,
        "load": 0.0,
    }
    return Row(**plain | given)


def test_of_two_rows_of_a_run_the_last_counts_and_torn_lines_go(tmp_path):
    path = tmp_path / "rows.jsonl"
    append(_row(), path)
    with path.open("a") as file:
        file.write(json.dumps(_row(table="torn")._asdict())[:40])
    assert list(read(path)) == [("rung", "wine", 0, 10.0)]
    append(_row(score=0.2), path)
    assert [row.score for row in read(path).values()] == [0.2]
    assert len(path.read_text().splitlines()) == 2
    assert read(tmp_path / "none") == {}


def test_losses_of_all_metrics_fall_as_models_improve():
    assert _row(metric="auc", score=0.9, constant=0.5).loss() == pytest.approx(0.1)
    assert _row(metric="rmse", score=2.0, constant=8.0).loss() == pytest.approx(0.25)
    assert _row(metric="rmse", score=None, constant=8.0, failed="x").loss() == 1.0
    assert _row(metric="auc", score=0.9, constant=0.5).loss(constant=True) == 0.5


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """The command with one timed and one untimed system, and a file of rows."""
    timed = _system(tmp_path, MEAN)
    untimed = timed._replace(name="free", script=tmp_path / "free_fit.py", timed=False)
    untimed.script.write_text(MEAN.replace("0 < order.left() < order.budget", "order.budget == 0"))
    monkeypatch.setattr(command, "chosen", lambda _: [timed, untimed])
    return tmp_path / "rows.jsonl"


def _main(path: Path, *words: str) -> int:
    return command.main(["run", "--tables", "wine", "--splits", "0", "--rows", str(path), *words])


def test_what_has_a_row_is_not_run_again_unless_asked(judged, capsys):
    assert _main(judged, "--budgets", "5") == 0
    first = judged.read_text()
    assert set(read(judged)) == {("some", "wine", 0, 5.0), ("free", "wine", 0, 0.0)}
    assert _main(judged, "--budgets", "5") == 0
    assert judged.read_text() == first
    assert _main(judged, "--budgets", "5,6") == 0
    assert len(judged.read_text().splitlines()) == 3  # the one without a budget did not run again
    assert _main(judged, "--budgets", "5", "--again") == 0
    assert len(judged.read_text().splitlines()) == 5
    assert "wine" in capsys.readouterr().out


def test_tables_that_are_not_given_are_left_out_with_the_reason(judged, monkeypatch, capsys):
    monkeypatch.delenv("RUNG_DATA", raising=False)
    assert command.main(["run", "--tables", "servo", "--budgets", "5", "--rows", str(judged)]) == 1
    assert "left out: servo: needs tabular/servo.csv.gz: set RUNG_DATA" in capsys.readouterr().err
    assert not judged.exists()


def test_a_peer_that_is_not_there_is_left_out_with_the_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RUNG_PEERS", str(tmp_path))
    words = ["run", "--systems", "flaml", "--tables", "wine", "--rows", str(tmp_path / "rows.jsonl")]
    assert command.main(words) == 1
    assert "make peers PEERS=flaml" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--systems", "h2o"], ["--tables", "moon"], ["--budgets", "soon"]])
def test_what_it_does_not_know_is_refused(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        command.main(["run", *words])
    assert exit_.value.code == 2
    assert words[1] in capsys.readouterr().err


def test_tables_are_listed_with_the_reason_where_they_are_not_there(monkeypatch, capsys):
    monkeypatch.delenv("RUNG_DATA", raising=False)
    assert command.main(["tables"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 49
    assert "set RUNG_DATA" in lines[0]
    assert any("wine " in line and "178 rows, 13 columns" in line for line in lines)


def test_the_scripts_run_with_the_python_of_their_system():
    assert SYSTEMS["rung"].python() == Path(sys.executable)
