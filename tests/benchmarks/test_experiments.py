"""Experiments: their names resolve, quick forms are small, rows go on where a run was stopped."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from benchmarks.entries import Unavailable
from benchmarks.experiments import Experiment, Plan, experiment, experiments, running
from benchmarks.experiments.__main__ import main
from benchmarks.experiments.asha_stragglers import first_trained, trained
from benchmarks.experiments.rows import Row, append, read
from benchmarks.experiments.running import run, search
from benchmarks.problems import problem, problems
from benchmarks.problems.synthetic import SYNTHETIC
from benchmarks.systems import Setting, system
from threadpoolctl import threadpool_info, threadpool_limits

QUICK_EVALUATIONS = 900  # full evaluations of an experiment's quick form, where these are what ends it
QUICK_TIME = 200.0  # multiples of a full training of all workers together, where time ends it


def every() -> list[tuple[str, Experiment]]:
    return list(experiments().items())


def plans() -> list[tuple[str, Plan]]:
    return [(name, plan) for name, one in every() for plan in (*one.full, *one.quick)]


def quiet(line: str) -> None:
    assert "minutes left" in line


@pytest.mark.parametrize(("name", "plan"), plans())
def test_names_resolve(name: str, plan: Plan) -> None:
    for one in plan.systems:
        system(one)
    for one in plan.problems:
        if one not in problems():  # a table that is not recorded yet
            with pytest.raises(Unavailable, match=one.partition(" ")[2]):
                problem(one)


def test_a_name_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="no problem named 'nonsense'"):
        problem("nonsense")
    with pytest.raises(ValueError, match="no experiment named 'nonsense'"):
        experiment("nonsense")
    with pytest.raises(Unavailable, match="the table nonsense is not recorded"):
        problem("recorded nonsense")


@pytest.mark.parametrize(("name", "one"), every())
def test_quick_forms_are_small(name: str, one: Experiment) -> None:
    searches = [found for plan in one.quick for found in plan.runs()]
    assert 0 < len(searches) <= 80
    limited = [setting for _, _, setting in searches if setting.seconds is None]
    assert sum(setting.evaluations for setting in limited) <= QUICK_EVALUATIONS
    for _, on, setting in searches:
        if setting.seconds is not None:
            length = 256 if on == "workload" else 1.0
            assert setting.seconds / length * setting.workers <= QUICK_TIME


@pytest.mark.parametrize(("name", "one"), every())
def test_claims_do_without_rows(name: str, one: Experiment) -> None:
    for claim in one.claims([]):
        assert claim.verdict == "unclear"
        assert all(isinstance(text, str) and text for text in claim)


def test_plans_run_all_systems_of_a_seed_first() -> None:
    plan = Plan(("a", "b"), ("x", "y"), (Setting(workers=1), Setting(workers=2)), 2)
    runs = list(plan.runs())
    assert len(runs) == len(set(runs)) == 16
    assert [setting.seed for _, _, setting in runs] == [0] * 8 + [1] * 8
    assert [name for name, _, _ in runs[:2]] == ["x", "y"]


SMALL = Plan(("branin", "drawn ones"), ("rung random", "rung hyperband"), (Setting(evaluations=3),), 2)


def test_a_run_goes_on_from_the_rows_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    half = SMALL._replace(seeds=1)
    assert run([half], path, 1, quiet)[:2] == (4, 0)
    before = path.read_bytes()
    assert run([SMALL, half], path, 1, quiet)[:2] == (4, 8)
    assert path.read_bytes().startswith(before)
    whole = path.read_bytes()
    assert run([SMALL], path, 1, quiet) == (0, 8, {})
    assert path.read_bytes() == whole


def test_a_line_half_written_is_cut_and_its_search_run_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    run([SMALL], path, 1, quiet)
    rows = read(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    assert read(path) == rows[:-1]
    assert run([SMALL], path, 1, quiet)[:2] == (1, 7)
    again = read(path)
    assert again[:-1] == rows[:-1]
    untimed = {"deciding": 0.0, "wall": 0.0, "pace": None}
    assert again[-1]._replace(**untimed) == rows[-1]._replace(**untimed)
    for line in path.read_text().splitlines():
        json.loads(line)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    setting = Setting(seed=3, workers=4, evaluations=2, stragglers=0.5, eta=4, seconds=900.0)
    row = search("rung asha", "workload", setting)
    assert isinstance(row, Row)
    assert row.variant == "stragglers 0.5, eta 4"
    append(tmp_path / "new" / "rows.jsonl", [row])
    assert read(tmp_path / "new" / "rows.jsonl") == [row]
    assert read(tmp_path / "none.jsonl") == []


def test_a_search_in_this_process_has_one_thread_as_those_of_several_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def noted(*one: Any) -> Any:
        threads.append([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"])
        return search(*one)

    monkeypatch.setattr(running, "search", noted)
    with threadpool_limits(2):  # as many as there are cores, when nothing is said
        run([SMALL._replace(seeds=1)], tmp_path / "rows.jsonl", 1, quiet)
    assert len(threads) == 4
    assert {one for each in threads for one in each} == {1}


def test_what_is_missing_is_skipped_with_its_reason(tmp_path: Path) -> None:
    plan = Plan(("recorded nonsense", "branin"), ("rung random",), (Setting(evaluations=2),), 2)
    done = run([plan], tmp_path / "rows.jsonl", 1, quiet)
    reason = "the table nonsense is not recorded: python -m benchmarks.data.tables record nonsense"
    assert done == (2, 0, {reason: 2})


def test_regret_at_a_resource_and_a_moment() -> None:
    row = search("rung random", "branin", Setting(evaluations=5))
    assert isinstance(row, Row)
    first = row.points[0]
    assert row.regret(0.5) is None
    assert row.regret(first[0]) == row.regret_at(first[1]) == max(first[3] - row.optimum, 0.0)
    assert row.regret(row.budget) == pytest.approx((row.true or 0.0) - row.optimum)


def test_the_workload_tells_when_the_first_was_trained() -> None:
    calm = Setting(workers=25, evaluations=100_000, seconds=400.0, eta=4)
    row = search("rung sha", "workload", calm)
    assert isinstance(row, Row)
    # One bracket: 256 jobs of 1 unit on 25 workers, then 64 of 4, 16 of 16, 4 of 64 and one of 256; rungs
    # wait for each other, so that 11 + 12 + 16 + 64 + 256 units are the least that it takes.
    assert trained(row) >= 1.0
    assert 11 + 12 + 16 + 64 + 256 <= first_trained(row) <= 400.0
    brief = search("rung sha", "workload", calm._replace(seconds=300.0))
    assert isinstance(brief, Row)
    assert (trained(brief), first_trained(brief)) == (0.0, 2000.0)


def test_only_some_systems_of_an_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.experiments.__main__.ROWS", tmp_path)
    small = Experiment("two searches", (SMALL._replace(seeds=1),), (), 0.1)
    monkeypatch.setattr("benchmarks.experiments.__main__.experiment", lambda name: small)
    monkeypatch.setattr("sys.argv", ["x", "run", "small", "--systems", "rung random", "--jobs", "1"])
    assert main() == 0
    assert {row.system for row in read(tmp_path / "small.jsonl")} == {"rung random"}
    assert "2 rows written, 0 were there" in capsys.readouterr().out


def test_a_search_that_a_signal_ended_is_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def value(config: Mapping[str, object], resource: int, seed: int) -> float:
        seen.append(resource)
        if len(seen) == 6:
            signal.raise_signal(signal.SIGINT)
        return 1.0

    seen: list[int] = []
    made = SYNTHETIC["branin"]._replace(value=value, truth=lambda config: 1.0)
    monkeypatch.setattr("benchmarks.experiments.running.problem", lambda name: made)
    monkeypatch.setattr("benchmarks.experiments.__main__.ROWS", tmp_path)
    plan = Plan(("branin",), ("rung random",), (Setting(evaluations=4),), 2)
    small = Experiment("two searches", (plan,), (), 0.1)
    monkeypatch.setattr("benchmarks.experiments.__main__.experiment", lambda name: small)
    monkeypatch.setattr("sys.argv", ["x", "run", "small", "--jobs", "1"])
    assert main() == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert [row.seed for row in read(tmp_path / "small.jsonl")] == [0]
    assert main() == 0
    assert [row.evaluations for row in read(tmp_path / "small.jsonl")] == [4, 4]
