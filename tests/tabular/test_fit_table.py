"""The whole way, on small tables; nothing here depends on how long it takes."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError, StudyError
from rung.tabular.baselines import lightgbm_prediction
from rung.tabular.dataset import Dataset, hold
from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.evaluate import Evaluation, Saved, evaluate, load_saved, oof_path, quietly
from rung.tabular.finish import choose
from rung.tabular.fit import fit_table
from rung.tabular.learners.neighbors import NEIGHBORS
from rung.tabular.learners.table import BUILT_IN, defaults
from rung.tabular.model_file import load_model, save_model
from rung.tabular.repeat import NOTHING
from rung.tabular.search import Search
from rung.tabular.splits import make_split


def _mixed(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.choice(["x", "y", "z", None], n),
            "c": np.where(rng.random(n) < 0.3, np.nan, rng.random(n)),
            "d": pd.date_range("2020-01-01", periods=n, freq="D").astype(str),
            "t": [" ".join(rng.choice(["red", "green", "blue", "dog", "cat"], 5)) for _ in range(n)],
            "constant": 1,
            "empty": np.nan,
            "many": [f"level {j}" for j in rng.integers(0, 60, n)],
        }
    )


def _binary(n: int = 150) -> pd.DataFrame:
    frame = _mixed(n)
    frame["y"] = (frame.a + (frame.b == "x") > 0).map({True: "yes", False: "no"})
    return frame


def _odd() -> dict[str, pd.DataFrame]:
    mixed = _mixed(80)
    rng = np.random.default_rng(1)
    wide = pd.DataFrame(rng.normal(size=(40, 300)), columns=[f"f{j}" for j in range(300)])
    return {
        "rare classes": mixed.assign(y=["a"] * 40 + ["b"] * 38 + ["c", "d"]),
        "three rows": pd.DataFrame({"a": [1.0, 2.0, 3.0], "y": ["u", "v", "u"]}),
        "three classes in three rows": pd.DataFrame({"a": [1.0, 2.0, 3.0], "y": ["u", "v", "w"]}),
        "nothing to learn from": pd.DataFrame({"a": [1] * 40, "b": [np.nan] * 40, "y": ["u", "v"] * 20}),
        "wide": wide.assign(y=["u", "v"] * 20),
        "huge target": mixed.assign(y=rng.normal(size=80) * 1e200),
        "huge numbers": pd.DataFrame({"a": rng.normal(size=60) * 1e300, "y": rng.normal(size=60)}),
        "one positive row": mixed.assign(y=[1] + [0] * 79),
        "pandas types": mixed.astype({"b": "category"}).assign(
            n=pd.array([pd.NA, *range(79)], dtype="Int64"), y=mixed.a
        ),
    }


@pytest.mark.parametrize("name", list(_odd()))
def test_odd_tables_give_a_model(name, tmp_path):
    frame = _odd()[name]
    result = fit_table(frame, "y", budget=0.5, seed=1)
    raw = result.model.raw(frame)
    assert len(raw) == len(frame)
    assert np.isfinite(raw).all()
    assert raw.ndim == 1 or raw.shape[1] == frame.y.nunique(), "every class keeps its probability"
    assert sum(member.weight for member in result.model.members) == pytest.approx(1)
    save_model(result.model, tmp_path / "m.rung")
    assert load_model(tmp_path / "m.rung").raw(frame) == pytest.approx(raw, rel=1e-12)


def test_a_binary_table_is_learned():
    frame = _binary()
    result = fit_table(frame, "y", budget=1.0, holdout=0.3)
    assert result.held is not None
    assert result.held.score > 0.8
    assert result.held.constant == 0.5
    assert result.score > result.constant == 0.5
    assert set(result.model.predict(frame)) <= {"yes", "no"}
    shuffled = frame.iloc[::-1][frame.columns[::-1]].assign(more=1)
    assert result.model.raw(shuffled)[::-1] == pytest.approx(result.model.raw(frame), rel=1e-9)


@pytest.mark.parametrize(("metric", "moved"), [("log_loss", True), ("auc", True), ("f1", False)])
def test_probabilities_are_brought_to_the_classes_shares_but_labels_stay(tmp_path, metric, moved):
    frame = _binary()
    model = fit_table(frame, "y", budget=0.5, metric=metric).model
    assert (model.intercepts is not None) == moved
    if moved:
        evidence = model.evidence
        plain = replace(model, intercepts=None)
        undone = np.log(evidence.prediction) - model.intercepts  # up to what makes rows sum to 1
        before = np.exp(undone) / np.exp(undone).sum(axis=1, keepdims=True)
        share = np.mean(evidence.y)
        assert abs(evidence.prediction[:, 1].mean() - share) <= abs(before[:, 1].mean() - share)
        loaded = load_model(save_model(model, tmp_path / "model.rung"))
        assert np.array_equal(loaded.intercepts, model.intercepts)
        assert not np.array_equal(model.raw(frame), plain.raw(frame))


def test_rows_held_out_are_seen_by_nothing(monkeypatch):
    """Other cells there change neither the search nor the model."""
    monkeypatch.setattr("rung.tabular.conclude.repeat", lambda *_: NOTHING)  # as often as there is time for
    frame = _binary()
    first = fit_table(frame, "y", budget=0.5, holdout=0.3, seed=3)
    assert first.held is not None
    changed = frame.copy()
    changed.loc[first.held.rows, "a"] = 99.0
    changed.loc[first.held.rows, "many"] = "new"
    again = fit_table(changed, "y", budget=0.5, holdout=0.3, seed=3)
    assert again.held is not None
    assert np.array_equal(first.held.rows, again.held.rows)
    assert [row.score for row in first.leaderboard] == [row.score for row in again.leaderboard]
    assert np.array_equal(first.model.raw(frame), again.model.raw(frame))


def test_the_same_seed_gives_the_same_model(monkeypatch):
    monkeypatch.setattr("rung.tabular.conclude.repeat", lambda *_: NOTHING)  # as often as there is time for
    frame = _binary(100)
    first, again, other = (fit_table(frame, "y", budget=0.5, seed=s) for s in (0, 0, 1))
    assert np.array_equal(first.model.raw(frame), again.model.raw(frame))
    assert [r.config for r in first.leaderboard] == [r.config for r in again.leaderboard]
    assert not np.array_equal(first.model.raw(frame), other.model.raw(frame))


def test_predictions_are_out_of_fold(monkeypatch):
    """A learner that remembers its rows does not shine on random targets."""
    kept = []
    monkeypatch.setattr(Search, "run", lambda self, *args: kept.append(self.dataset))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 4)), columns=list("abcd")).assign(y=rng.integers(0, 2, 200))
    fit_table(frame, "y", budget=0.5)
    with quietly():
        outcome = evaluate(
            kept[0], defaults(NEIGHBORS, categories=False, missing=False)[0], 200, 0, Deadline()
        )
    assert outcome.score < 0.65


def test_a_study_goes_on_with_the_trials_that_are_there(tmp_path):
    frame, url = _binary(120), f"sqlite:///{tmp_path}/rung.db"
    first = fit_table(frame, "y", budget=1.0, storage=url, study="mine")
    again = fit_table(frame, "y", budget=5.0, storage=url, study="mine")
    assert again.trials > first.trials
    told = {row.trial: row.score for row in again.leaderboard}
    for row in first.leaderboard:  # one that a busy machine cut short is fitted again, and the better kept
        assert told[row.trial] >= row.score


def test_a_trial_whose_session_ended_before_it_did_is_not_fitted_again(monkeypatch):
    told = []

    def run(self, *args):
        hold(self.study.folder / "data", self.dataset)
        objective = Evaluation(str(self.study.folder), self.dataset.metric, math.inf, math.inf)
        (self.study.folder / "oof").parent.mkdir(parents=True, exist_ok=True)
        config = {**self.defaults[0].config}
        trial = SimpleNamespace(
            number=0, config=config, resource=len(self.dataset), seed=1,
            report=lambda rows, **metrics: told.append((rows, metrics)),
        )  # fmt: skip
        objective(trial)
        monkeypatch.setattr("rung.tabular.evaluate.evaluate", None)
        objective(trial)
        hold(self.study.folder / "data", None)

    monkeypatch.setattr(Search, "run", run)
    fit_table(_binary(60), "y", budget=0.3)
    assert told[0] == told[1]


def test_a_model_that_cannot_be_as_fast_as_asked_says_so():
    result = fit_table(_binary(60), "y", budget=0.3, predict_time=1e-9, include=["bayes"])
    assert any("predicting a row takes about" in note and "1e-06 us" not in note for note in result.notes)
    assert not any("predicting" in note for note in fit_table(_binary(60), "y", budget=0.3).notes)


def test_a_model_keeps_rows_in_bins_to_tell_drift_by_unless_it_may_not():
    frame = _binary(60)
    kept, private = (
        fit_table(frame, "y", budget=0.3, drift_sample=word).model.profile for word in (True, False)
    )
    assert kept.sample.shape == (60, len(kept.sampled))
    assert "d" not in {column.name for column in kept.sampled}, "a date gives a later table away"
    assert private.sample is None
    assert private.schema == kept.schema


def test_a_study_of_another_table_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/rung.db"
    fit_table(_binary(60), "y", budget=0.1, storage=url, study="mine")
    with pytest.raises(StudyError, match="table"):
        fit_table(_binary(61), "y", budget=0.1, storage=url, study="mine")


def test_an_unknown_metric_is_refused():
    with pytest.raises(DataError, match="metric"):
        fit_table(_binary(60), "y", budget=0.1, metric="auk")


def test_files_of_predictions_hold_the_score(monkeypatch):
    kept = []
    run = Search.run

    def keep(self, *args):
        run(self, *args)
        assert oof_path(self.study.folder, 0).name == "trial-000000.npz"
        saved = [load_saved(self.study.folder, number) for number in range(len(self.study.history))]
        kept.append((self.dataset, saved))

    monkeypatch.setattr(Search, "run", keep)
    fit_table(_binary(80), "y", budget=0.3)
    data, saved = kept[0]
    assert saved
    for one in saved:
        valid = data.split.validation(one.rows)
        assert data.judge.score(data.y[valid], one.prediction) == pytest.approx(one.score, abs=1e-6)


def test_fewer_rows_are_the_first_fold_only(monkeypatch):
    kept = []
    monkeypatch.setattr(Search, "run", lambda self, *args: kept.append(self.dataset))
    result = fit_table(_binary(90), "y", budget=0.3)
    assert result.model.members[0].name == "constant", "no trial, and still a model"
    data = kept[0]
    config = defaults(BUILT_IN[0], categories=True, missing=True)[0]
    with quietly():
        part = evaluate(data, config, 30, 0, Deadline())
        whole = evaluate(data, config, 90, 0, Deadline())
    assert len(part.pipelines) == 1
    assert len(part.prediction) == len(data.split.held_out(0))
    assert len(whole.pipelines) == data.split.number
    assert len(whole.prediction) == 90


def _dataset(rows: int, folds: int) -> Dataset:
    rng = np.random.default_rng(0)
    table = Table(rng.normal(size=(rows, 2)), np.empty((rows, 0), dtype=np.int32))
    y = (table.numbers[:, 0] > 0).astype(np.int64)
    return Dataset(table, y, 2, [], make_split(y, 2, folds, 0.2, 0), "log_loss", 0)


def test_a_holdout_compares_trials_of_all_rungs():
    dataset = _dataset(500, 1)
    y = dataset.y[dataset.split.validation(500)]
    good = np.column_stack([1 - y, y]) * 0.9 + 0.05
    poor = np.full_like(good, 0.5)
    saved = [Saved(i, poor, 500, 0.69, 0.1, cut=False) for i in range(6)]
    saved.append(Saved(6, good, 100, 0.05, 0.1, cut=False))
    assert [one.trial for _, one in choose(dataset, saved, Deadline()).members] == [6]


def test_lightgbms_defaults_are_left_out_where_the_time_is_short():
    dataset = _dataset(500, 1)
    assert lightgbm_prediction(dataset, dataset.table, Deadline.after(0.001)) is None
    assert lightgbm_prediction(dataset, dataset.table, Deadline()) is not None


def test_there_is_a_model_even_where_no_trial_began_in_time(monkeypatch):
    """A machine so busy that the sessions are over before a trial is started."""
    plain, skipped = Search._session, []

    def late(self, plan, deadline, watch):
        if not skipped:
            skipped.append(plan)
            return "budget"
        return plain(self, plan, deadline, watch)

    monkeypatch.setattr(Search, "_session", late)
    frame = pd.DataFrame({"x": np.arange(60.0), "y": np.arange(60.0) % 7})
    result = fit_table(frame, "y", budget=0.5, workers=1, include=["linear"])
    assert len(skipped) == 1
    assert result.leaderboard


def test_after_ctrl_c_no_further_trial_is_begun(monkeypatch):
    monkeypatch.setattr(Search, "_session", lambda self, plan, deadline, watch: "interrupted")
    frame = pd.DataFrame({"x": np.arange(60.0), "y": np.arange(60.0) % 7})
    assert not fit_table(frame, "y", budget=0.5, workers=1, include=["linear"]).leaderboard


def test_the_leaderboard_has_the_weights_of_the_model_not_of_members_that_were_left_out(monkeypatch):
    from rung.tabular import finish

    def heaviest(members, *_):
        return [replace(max(members, key=lambda one: one.weight), weight=1.0)]

    monkeypatch.setattr(finish, "lighten", heaviest)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(90, 3)), columns=["a", "b", "c"])
    frame["y"] = frame["a"] + frame["b"] ** 2 + rng.normal(size=90)
    result = fit_table(frame, "y", budget=2, workers=1, include=["linear", "svm", "neighbors"])
    (member,) = result.model.members
    (row,) = (row for row in result.leaderboard if row.weight)
    assert row.weight == 1.0
    assert row.config == member.config
