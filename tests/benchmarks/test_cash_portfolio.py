"""The recorder of the matrix, what is built of it, and what an order is worth: on cells told by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.cash.tables import TABLES
from benchmarks.entries import Unavailable
from benchmarks.portfolio import __main__ as command
from benchmarks.portfolio import building, configurations, evaluating, page, recording
from benchmarks.portfolio.recording import Cell, append, dataset_of, read, record

from rung.tabular.learners.table import defaults, learners
from rung.tabular.meta import Memory
from rung.tabular.meta.features import NAMES
from rung.tabular.meta.memory import from_json, to_json


@pytest.fixture(scope="module")
def wine():
    return dataset_of(TABLES["wine"])


def _linear() -> dict[str, object]:
    return defaults(learners()["linear"], categories=True, missing=True)[0]


def test_a_cell_is_a_cross_validated_score_with_its_cost(wine):
    cell = record(TABLES["wine"], wine, "linear default 0", _linear())
    assert cell is not None
    assert cell.failed == ""
    assert cell.score < cell.constant / 5
    assert cell.seconds > 0
    assert cell.wall > 0
    assert record(TABLES["wine"], wine, "linear default 0", _linear()).score == cell.score
    assert wine.split.number == recording.FOLDS


def test_what_cannot_be_done_is_no_cell_and_what_fails_says_why(wine, monkeypatch):
    bayes = defaults(learners()["bayes"], categories=True, missing=True)[0]
    numbers = dataset_of(TABLES["diabetes"])
    assert record(TABLES["diabetes"], numbers, "bayes default 0", bayes) is None
    assert record(TABLES["wine"], wine, "x", {"learner": "from elsewhere"}) is None
    assert record(TABLES["wine"], wine, "x", _linear() | {"C": -1.0}) is None
    with monkeypatch.context() as patch:
        patch.setattr(recording, "evaluate", lambda *_: 1 / 0)
        broken = record(TABLES["wine"], wine, "x", _linear())
    assert (broken.score, broken.failed) == (None, "ZeroDivisionError: division by zero")
    monkeypatch.setattr(recording, "HOPELESS", 0.0)
    assert record(TABLES["wine"], wine, "x", _linear()).failed == "too dear"


def test_the_last_cell_counts_and_torn_lines_go(tmp_path):
    path = tmp_path / "cells.jsonl"
    cell = Cell("a", "b", "auc", 0.5, 0.5, 1.0, 1.0, cut=False)
    append(cell, path)
    with path.open("a") as file:
        file.write('{"table": ')
    append(cell._replace(score=0.7), path)
    assert {key: one.score for key, one in read(path).items()} == {("a", "b"): 0.7}
    assert len(path.read_text().splitlines()) == 2


def test_configurations_keep_their_names_when_defaults_change(tmp_path):
    path = tmp_path / "configurations.jsonl"
    first = configurations.extend(path)
    assert first["linear default 0"] == _linear()
    assert sum(" random " in name for name in first) == sum(configurations.RANDOM.values())
    assert configurations.extend(path) == first
    lines = path.read_text().replace(
        json.dumps({"name": "linear default 0", "config": _linear()}),
        json.dumps({"name": "linear default 0", "config": _linear() | {"C": 77.0}}),
    )
    path.write_text(lines)
    later = configurations.extend(path)
    assert later["linear default 0"]["C"] == 77.0
    assert later["linear default 0.1"] == _linear()
    assert len(later) == len(first) + 1


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Two tables by three configurations, one cell of which failed."""
    cells, configs = tmp_path / "cells.jsonl", tmp_path / "configurations.jsonl"
    for i, name in enumerate(("a", "b", "c")):
        config = {"name": name, "config": _linear() | {"C": 1.0 + i}}
        with configs.open("a") as file:
            file.write(json.dumps(config) + "\n")
    for table, metric, scores in (
        ("wine", "log_loss", [0.3, 0.1, 0.5]),
        ("breast_cancer", "auc", [0.9, None, 0.8]),
    ):
        for name, score in zip("abc", scores, strict=True):
            failed = "boom" if score is None else ""
            append(Cell(table, name, metric, score, 1.0, 2.0, 3.0, cut=False, failed=failed), cells)
    monkeypatch.setattr(building.recording, "read", lambda: read(cells))
    monkeypatch.setattr(building.configurations, "read", lambda: json_configs(configs))
    return cells


def json_configs(path):
    return {one["name"]: one["config"] for one in map(json.loads, path.read_text().splitlines())}


def test_the_memory_holds_regrets_seconds_and_features(recorded):
    memory = building.build()
    assert memory.tables == ("breast_cancer", "wine")
    assert memory.kinds == ("binary", "multiclass")
    np.testing.assert_allclose(memory.regret, [[0.0, np.nan, 1.0], [1.0, 0.0, 1.0]])
    np.testing.assert_allclose(memory.seconds, [[2.0, np.nan, 2.0], [2.0, 2.0, 2.0]])
    assert memory.sizes.tolist() == [[569, 30, 2], [178, 13, 3]]
    assert np.isfinite(memory.features[:, NAMES.index("landmark_tree")]).all()
    assert to_json(building.build()) == to_json(memory)
    assert from_json(building.write(memory, recorded.with_name("p.json")).read_text()).tables == memory.tables


def test_tables_can_be_left_out_and_unfinished_ones_are(recorded):
    memory = building.build(["wine"])
    assert memory.tables == ("breast_cancer",)
    assert "--leave-out wine" in memory.recipe["made by"]
    append(Cell("digits", "a", "log_loss", 0.5, 1.0, 2.0, 3.0, cut=False), recorded)
    assert "digits" not in building.build().tables
    with pytest.raises(Unavailable, match=r"benchmarks\.portfolio record"):
        building.build(["wine", "breast_cancer"])


def _memory() -> Memory:
    configs, names = [], []
    for name in ("lightgbm", "linear"):
        own = defaults(learners()[name], categories=True, missing=True)
        configs += own
        names += [f"{name} default {rank}" for rank in range(len(own))]
    t, c = 6, len(configs)
    rng = np.random.default_rng(0)
    regret = rng.random((t, c))
    regret[:, 1] = 0.0
    features = np.zeros((t, len(NAMES)))
    return Memory(
        tables=tuple(f"t{i}" for i in range(t)),
        kinds=("binary",) * t,
        features=features,
        sizes=np.array([[500.0, 10, 2]] * t),
        names=tuple(names),
        configurations=tuple(configs),
        regret=regret,
        seconds=np.full((t, c), 2.0),
        recipe={"made by": "a test"},
    )


def test_an_order_is_worth_what_is_done_within_the_seconds():
    memory = _memory()
    regret = memory.regret[0]
    assert evaluating._spent(memory, 0, [0, 2, 1], 1.9) == 1.0
    assert evaluating._spent(memory, 0, [0, 2, 1], 2.0) == regret[0]
    assert evaluating._spent(memory, 0, [0, 2, 1], 5.9) == min(regret[0], regret[2])
    assert evaluating._spent(memory, 0, [0, 2, 1], 6.0) == 0.0
    gone = replace(memory, regret=np.where(np.arange(regret.size) == 0, np.nan, memory.regret))
    assert evaluating._spent(gone, 0, [0, 1], 2.0) == 0.0  # what failed takes no time


def test_a_default_that_has_changed_stands_as_it_was_recorded():
    memory = _memory()
    features = evaluating.features_of(memory, 0)
    today = evaluating._defaults(features, "binary", memory, 0)
    assert sorted(today) == list(range(len(memory.configurations)))
    older = tuple({**config, "was": 1} for config in memory.configurations)
    assert evaluating._defaults(features, "binary", replace(memory, configurations=older), 0) == today
    both = replace(
        memory,
        names=(*memory.names, *(f"{name}.1" for name in memory.names)),
        configurations=(*older, *memory.configurations),
        regret=np.hstack([memory.regret, memory.regret]),
    )
    later = [j + len(memory.names) for j in today]
    assert evaluating._defaults(features, "binary", both, 0) == later
    both.regret[0, len(memory.names) :] = np.nan
    assert evaluating._defaults(features, "binary", both, 0) == today


def test_learned_orders_begin_with_what_was_best_everywhere():
    found = evaluating.evaluate(_memory(), (2.0, 100.0))
    assert set(found) == set(evaluating.ORDERS)
    for name in ("paper", "portfolio", "suggest"):
        np.testing.assert_allclose(found[name], 0.0)
    assert found["random"][:, 0].mean() > 0.2
    assert found["defaults"][:, 0].mean() > 0.2
    np.testing.assert_allclose(found["defaults"][:, 1], 0.0)


def test_the_page_says_what_the_figures_say():
    memory = _memory()
    text = page.page(memory, evaluating.evaluate(memory))
    assert "6 binary: t0, t1, t2" in text
    assert "| suggest | 0.000 |" in text
    assert "{" not in text.replace('{"lightgbm", "linear", "extra_trees"}', "")


def test_recording_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    path, configs = tmp_path / "cells.jsonl", {"a": _linear(), "b": _linear() | {"C": 3.0}}
    done: list[str] = []

    def fill(table, dataset, name, config):
        done.append(name)
        return Cell(table.name, name, "log_loss", 0.1, 1.0, 1.0, 1.0, cut=False)

    monkeypatch.setattr(command.configurations, "extend", lambda: configs)
    monkeypatch.setattr(command.recording, "warm_up", lambda: None)
    monkeypatch.setattr(command.recording, "record", fill)
    monkeypatch.setattr(command.recording, "read", lambda: read(path))
    monkeypatch.setattr(command.recording, "append", lambda cell: append(cell, path))
    append(Cell("wine", "a", "log_loss", None, 1.0, 1.0, 1.0, cut=False, failed="too dear"), path)
    assert command.main(["record", "--tables", "wine"]) == 0
    assert done == ["b"]
    assert command.main(["record", "--tables", "wine"]) == 0
    assert done == ["b"]
    monkeypatch.delenv("RUNG_DATA", raising=False)
    assert command.main(["record", "--tables", "servo"]) == 1
    assert "left out: servo" in capsys.readouterr().err
