"""Which results a model is fitted to."""

from __future__ import annotations

import numpy as np

from rung.samplers.kept import kept_rows


def test_which_results_are_kept():
    losses = np.random.default_rng(0).random(1000)
    kept = kept_rows(losses, 100)
    assert len(kept) == 100
    assert (np.diff(kept) > 0).all()
    assert set(np.argsort(losses)[:50]) <= set(kept)
    assert set(range(975, 1000)) <= set(kept)
    assert np.ptp(kept[:40]) > 300
    assert kept_rows(losses, 1000).tolist() == list(range(1000))
    assert len(kept_rows(np.zeros(21), 20)) == 20


def test_all_are_kept_while_they_are_few():
    assert kept_rows(np.zeros(10), 10, np.zeros((10, 2))).tolist() == list(range(10))


def test_kept_are_the_best_the_latest_and_far_ones():
    generator = np.random.default_rng(0)
    x = generator.random((500, 2))
    losses = ((x - 0.5) ** 2).sum(axis=1)
    x[100], losses[100] = [0.0, 0.0], 10.0  # a bad one in a corner
    rows = kept_rows(losses, 40, x)
    assert len(rows) == len(set(rows.tolist())) == 40
    assert (np.diff(rows) > 0).all()
    assert set(np.argsort(losses)[:20].tolist()) <= set(rows.tolist())
    assert set(range(490, 500)) <= set(rows.tolist())
    assert 100 in rows


def test_the_choice_among_very_many_is_bounded():
    n = 30_000
    rows = kept_rows(np.arange(n) % 977 / 7.0, 200, np.random.default_rng(1).random((n, 3)))
    assert len(rows) == 200
