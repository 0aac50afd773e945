"""Support vector machines on shares of a table: scikit-learn's errors, what shares hold, what jobs cost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from benchmarks.data.tables import Table, open_table
from benchmarks.data.tables.recipes import recipe, svm
from benchmarks.problems.recorded import recorded

pytest.importorskip("sklearn")

NAMES = ["svm-digits", "svm-optdigits", "svm-letter"]
SIZES = (300, 100, 90)
CONFIG = {"C": 12.0, "gamma": 0.06}


def test_errors_are_those_of_the_machine_on_the_first_rows_of_a_permutation() -> None:
    from sklearn.svm import SVC

    curves = svm.train([CONFIG], 4, "digits", SIZES)
    data = svm._digits(SIZES)
    order = np.random.default_rng(4).permutation(SIZES[0])
    for number, step in enumerate(svm.STEPS):
        rows = order[: max(2, math.ceil(SIZES[0] * step / 512))]
        if len(set(data.train.y[rows])) == 1:
            continue
        machine = SVC(**CONFIG).fit(data.train.x[rows], data.train.y[rows])
        for found, part in ((curves.losses, data.valid), (curves.tests, data.test)):
            assert found[0, number] == pytest.approx(np.mean(machine.predict(part.x) != part.y))
    assert (curves.seconds > 0).all()


def test_the_seed_picks_the_rows_and_no_share_but_the_whole_depends_on_it() -> None:
    first, second = (svm.train([CONFIG], seed, "digits", SIZES).losses[0] for seed in (0, 1))
    assert not np.array_equal(first[:-1], second[:-1])
    assert first[-1] == second[-1]


def test_rows_of_one_class_say_that_class() -> None:
    data = svm._digits(SIZES)
    order = np.flatnonzero(data.train.y == 3)
    valid, test, seconds = svm._fit(data, CONFIG, order, 1)
    assert valid == pytest.approx(np.mean(data.valid.y != 3))
    assert test == pytest.approx(np.mean(data.test.y != 3))
    assert seconds > 0


def test_parts_of_the_digits_do_not_overlap() -> None:
    from sklearn.datasets import load_digits

    parts = svm._digits((1000, 400, 397))[:3]
    together = np.concatenate([np.c_[part.x * 16, part.y] for part in parts])
    whole = np.c_[load_digits(return_X_y=True)]
    assert [len(part.y) for part in parts] == [1000, 400, 397]
    np.testing.assert_array_equal(together[np.lexsort(together.T)], whole[np.lexsort(whole.T)])


def test_a_job_takes_the_whole_training_to_where_it_ends() -> None:
    axes = {"x": {"values": [1.0, 2.0], "kind": "linear"}}
    about = {"axes": axes, "resource": "512ths", "steps": [1, 2, 4], "continues": False}
    seconds = np.array([[1.0, 3.0, 9.0], [2.0, 4.0, 10.0]])
    first = np.stack([seconds, seconds, seconds]).astype(np.float32)
    found = Table(about, first, np.empty((0, 1, 3), np.float32))

    def cost(start: int, until: int, x: float = 1.0) -> float:
        return found.seconds({"x": x}, start, until)

    assert cost(0, 4) == cost(2, 4) == pytest.approx(9.0)
    assert cost(1, 2) == pytest.approx(3.0)
    assert cost(0, 4, 1.5) == pytest.approx(9.5)


@pytest.mark.parametrize("name", NAMES)
def test_spaces_are_the_paper_s(name: str) -> None:
    made = recipe(name)
    assert made.steps == tuple(2**k for k in range(10))
    assert not made.continues
    for axis in (made.axes["C"], made.axes["gamma"]):
        ends: tuple[Any, ...] = axis.values[0], axis.values[-1]
        assert np.log(ends) == pytest.approx([-10, 10], abs=1e-4)
        np.testing.assert_allclose(np.diff(np.log(axis.values)), 20 / (len(axis.values) - 1), rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shipped_learns_and_begins_anew(name: str) -> None:
    table, problem = open_table(name), recorded(name)
    assert not problem.continues
    best = [np.nanmin(table._losses[:, step]) for step in range(len(table.steps))]
    assert best[-1] < best[len(best) // 2] < best[0]
    config = {key: axis.values[7] for key, axis in table.axes.items()}
    assert problem.seconds(config, 256, 512) == pytest.approx(problem.seconds(config, 0, 512))
