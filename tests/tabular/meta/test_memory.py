"""The memory: its regrets, its file, what leaving a table out leaves."""

from __future__ import annotations

import numpy as np
import pytest

from rung.errors import UserError
from rung.tabular.learners.table import learners
from rung.tabular.meta import shipped
from rung.tabular.meta.features import NAMES
from rung.tabular.meta.memory import VARIABLE, Memory, current, from_json, regrets, to_json


def _memory() -> Memory:
    rng = np.random.default_rng(0)
    regret = rng.random((3, 2))
    regret[1, 1] = np.nan
    return Memory(
        tables=("a", "b", "c"),
        kinds=("binary", "regression", "binary"),
        features=np.round(rng.normal(size=(3, len(NAMES))), 4),
        sizes=np.array([[100.0, 5, 2], [200, 6, 0], [300, 7, 2]]),
        names=("linear default 0", "linear default 1"),
        configurations=({"learner": "linear", "C": 1.0}, {"learner": "linear", "C": 2.0}),
        regret=np.round(regret, 4),
        seconds=np.round(regret * 3, 3),
        recipe={"made by": "a test"},
    )


def test_regrets_are_0_at_the_best_and_1_from_the_median_on():
    losses = np.array([[1.0, 2.0, 3.0, 9.0, np.nan], [5.0, 5.0, 5.0, 5.0, 5.0], [np.nan] * 5])
    found = regrets(losses)
    np.testing.assert_allclose(found[0], [0.0, 1 / 1.5, 1.0, 1.0, np.nan])
    np.testing.assert_allclose(found[1], 0.0)
    assert np.isnan(found[2]).all()


def test_it_comes_back_as_it_was_written():
    memory = _memory()
    text = to_json(memory)
    again = from_json(text)
    assert to_json(again) == text
    assert again.tables == memory.tables
    assert again.names == memory.names
    assert list(again.configurations) == list(memory.configurations)
    np.testing.assert_allclose(again.regret, memory.regret)
    np.testing.assert_allclose(again.features, memory.features)


def test_features_are_found_by_name_and_new_ones_are_unknown():
    text = to_json(_memory()).replace(f'"{NAMES[0]}"', '"gone"', 1)
    again = from_json(text)
    assert np.isnan(again.features[:, 0]).all()
    np.testing.assert_allclose(again.features[:, 1:], _memory().features[:, 1:])


def test_another_version_is_refused():
    with pytest.raises(ValueError, match="it is of version 9, and this is 1: build it again"):
        from_json(to_json(_memory()).replace('"version": 1', '"version": 9'))


def test_another_file_can_be_named_and_a_broken_one_is_refused(tmp_path, monkeypatch):
    place = tmp_path / "own.json"
    place.write_text(to_json(_memory()))
    monkeypatch.delenv(VARIABLE, raising=False)
    assert current() is shipped()
    monkeypatch.setenv(VARIABLE, str(place))
    assert current().tables == ("a", "b", "c")
    for name, text in (("broken.json", "{"), ("other.json", "[]"), ("lacking.json", '{"version": 1}')):
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(VARIABLE, str(tmp_path / name))
        with pytest.raises(UserError, match=f"RUNG_PORTFOLIO names .*{name}, which cannot be read"):
            current()


def test_a_table_left_out_is_nowhere():
    rest = _memory().without(["b"])
    assert rest.tables == ("a", "c")
    assert rest.kinds == ("binary", "binary")
    assert len(rest.features) == len(rest.sizes) == len(rest.regret) == len(rest.seconds) == 2


def test_what_is_shipped_is_whole():
    memory = shipped()
    t, c = len(memory.tables), len(memory.configurations)
    assert t >= 10
    assert memory.regret.shape == memory.seconds.shape == (t, c)
    assert memory.features.shape == (t, len(NAMES))
    assert np.isfinite(memory.features[:, NAMES.index("log_rows")]).all()
    assert np.nanmin(memory.regret) == 0.0
    assert np.nanmax(memory.regret) == 1.0
    assert (np.nanmin(memory.regret, axis=1) == 0).all()
    assert {config["learner"] for config in memory.configurations} <= set(learners())
    assert "benchmarks.portfolio" in memory.recipe["made by"]
