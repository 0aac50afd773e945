"""Samplers by name, by spec and by object."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rung.errors import StudyError
from rung.samplers import SAMPLERS, make_sampler, spec_of
from rung.samplers.grid import GridSampler
from rung.samplers.kde import KdeSampler
from rung.samplers.random import RandomSampler
from rung.trials.events import Spec


def test_the_table_names_what_there_is():
    for name in SAMPLERS:
        made = make_sampler(name)
        assert spec_of(made).name == name
        assert make_sampler(spec_of(made)) == made
    assert {type(make_sampler(name)) for name in ("random", "grid", "kde")} == {
        RandomSampler,
        GridSampler,
        KdeSampler,
    }
    assert all(row.kind == "sampler" and row.line and row.name == name for name, row in SAMPLERS.items())


@pytest.mark.parametrize(
    "sampler",
    [
        RandomSampler(),
        GridSampler(),
        GridSampler(resolution={"lr": 3, "momentum": 2}),
        KdeSampler(random_fraction=0.5, min_points=9),
    ],
)
def test_a_spec_makes_an_equal_sampler(sampler):
    assert make_sampler(spec_of(sampler)) == sampler


def test_the_log_holds_all_settings_of_kde():
    assert spec_of(KdeSampler()) == Spec(
        "kde",
        {
            "random_fraction": 1 / 3,
            "good_fraction": 0.15,
            "candidates": 64,
            "bandwidth_factor": 3.0,
            "min_bandwidth": 1e-3,
            "min_points": None,
            "liar": None,
        },
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("kd", "unknown sampler 'kd': did you mean 'kde'"),
        (Spec("kde", {"candidate": 3}), "did you mean 'candidates'"),
        (Spec("kde", {"candidates": 0}), "candidates must be at least 1, not 0"),
        (Spec("grid", {"resolution": "many"}), "the sampler 'grid' cannot be made"),
        (3, "3 is no sampler"),
    ],
)
def test_what_is_no_sampler_is_refused(given, sentence):
    with pytest.raises(StudyError, match=sentence):
        make_sampler(given)


def test_the_table_loads_no_sampler():
    code = "import sys, rung.samplers; assert 'scipy' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_needs_another_package_says_so_and_nothing_else_does():
    """What each does without it is tested beside gp."""
    needing = {name: row.line for name, row in SAMPLERS.items() if "rung[" in row.line}
    assert sorted(needing) == ["gp", "turbo"]
    assert needing["turbo"].endswith("; needs rung[gp]")
    assert needing["gp"].endswith("; several objectives need rung[gp]")
