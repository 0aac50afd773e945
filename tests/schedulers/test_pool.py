"""What schedulers with a model share: targets, stages, which results are seen, candidates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.schedulers.base import Start
from rung.schedulers.pool import candidates, latest_of, spread, stage, targets
from rung.trials import events as ev
from rung.trials.events import Limits
from rung.trials.history import BEHIND, History
from support.driver import SPACE, identity


@given(st.lists(st.floats(allow_nan=False), max_size=30))
def test_targets_are_standardised_whatever_the_losses(losses):
    losses = np.array(losses)
    losses = np.where(losses == -np.inf, 0.0, losses)
    with np.errstate(over="ignore", under="ignore"):
        found = targets(losses)
    assert found.shape == losses.shape
    assert np.isfinite(found).all()
    if found.any():
        assert found.mean() == pytest.approx(0.0, abs=1e-9)
        assert found.std() == pytest.approx(1.0)
    order = np.argsort(losses, kind="stable")
    assert (np.diff(found[order]) >= -1e-12).all()


def test_failed_and_broken_ones_are_as_bad_as_the_worst_and_outliers_are_cut():
    found = targets(np.array([0.0, 1.0, 2.0, 1e6, BEHIND * 1.5, math.inf]))
    assert found[3] == found[4] == found[5]
    assert found[3] - found[0] == pytest.approx((1.5 + 5 * 1.5) * (found[1] - found[0]))


@given(first=st.integers(3, 20), results=st.integers(3, 2000))
def test_stages_come_with_a_quarter_more_and_follow_from_the_count(first, results):
    now = stage(results, first)
    assert now <= results
    if results >= first:
        assert now >= first
        assert now * 1.25 + 1 >= results
        assert stage(now, first) == now


@given(st.lists(st.floats(0, 1), max_size=60), st.integers(10, 20))
def test_the_best_and_the_newest_are_seen(losses, most):
    kept = spread(np.array(losses), most)
    assert list(kept) == sorted(set(kept.tolist()))
    assert len(kept) == min(most, len(losses))
    if len(losses) > most:
        best = np.argsort(losses, kind="stable")[: most // 2]
        assert set(best.tolist()) <= set(kept.tolist())
        assert len(losses) - 1 in kept


def test_candidates_are_legal_and_have_what_is_fixed():
    history = History().fold_all([ev.StudyCreated(identity(1, 9), "0")])
    rows = candidates(history, [(0.5, 5)], np.random.default_rng(0), 20, 10)
    assert len(rows) == 30
    assert all(0.0 <= x <= 1.0 and 1 <= n <= 9 for x, n in rows)
    history.fold(ev.Requested("fix", {"n": 7}))
    rows = candidates(history, [(0.5, 5)], np.random.default_rng(0), 20, 10)
    assert {n for _, n in rows} == {7}
    assert len({x for x, _ in rows}) > 15


CHANGES = (
    ev.Requested("fix", {"n": 7}),
    ev.LimitsChanged(Limits(trials=3)),
    ev.JobStarted(0, 9, values=(0.5, 5)),
    ev.JobFailed(0, ev.Failure.ERROR),
    ev.SpaceChanged(SPACE),
    ev.StopDecided("request"),
)


def test_a_decision_is_kept_until_something_changes_on_which_one_depends():
    history = History().fold_all([ev.StudyCreated(identity(1, 9), "0")])
    calls = []

    def decide():
        calls.append(1)
        return Start(len(calls))

    assert latest_of("a", history).decision(history, 0, decide) == Start(1)
    for count, event in enumerate(CHANGES, 2):
        history.fold(event)
        for _ in range(2):
            assert latest_of("a", history).decision(history, 0, decide) == Start(count)
    history.fold(ev.Recorded("note", {}))
    assert latest_of("a", history).decision(history, 0, decide) == Start(len(calls))
    assert latest_of("a", history).decision(history, 1, decide) == Start(len(CHANGES) + 2)
    assert latest_of("b", history).decision(history, 1, decide) == Start(len(CHANGES) + 3)


def test_hyperparameters_are_kept_for_their_stage():
    latest = latest_of("a", History())
    assert latest.hypers(3, lambda: 0.5) == 0.5
    assert latest.hypers(3, lambda: 0.7) == 0.5
    assert latest.hypers(4, lambda: 0.7) == 0.7
