"""Worker processes do without the packages for frames."""

import subprocess
import sys
from dataclasses import replace
from textwrap import dedent

import pytest

from rung.tabular.lean import without
from rung.tabular.learners import table
from rung.tabular.learners.base import FRAMES
from rung.tabular.learners.table import learners


def _loaded_by(code: str) -> list[str]:
    """Which of the packages for frames a fresh process has loaded in the end."""
    end = "\nimport sys\nprint(*sorted({'pandas', 'pyarrow', 'polars'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", dedent(code) + end], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.split()


FIT = """
    import numpy as np
    from rung.tabular.evaluate import load_libraries
    from rung.tabular.lean import without
    from rung.tabular.learners.table import learners
    from rung.tabular.learners.base import Setting

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    learner = learners()[{name!r}]
    with without(learner.without):
        load_libraries(learner)
        learner.fit(dict(learner.defaults[0]), X, y.astype(float), Setting(classes=2))
"""


@pytest.mark.parametrize("name", ["linear", "lightgbm", "xgboost"])
def test_learners_that_can_do_without_frames_load_none(name):
    if name not in learners():
        pytest.skip(f"{name} is not installed")
    assert _loaded_by(FIT.format(name=name)) == []


def test_the_same_learner_loads_pandas_where_nothing_is_left_out():
    assert "pandas" in _loaded_by("import lightgbm")  # else the test above shows nothing


def test_what_is_left_out_can_be_imported_again_afterwards():
    code = """
        from rung.tabular.lean import without

        with without(("pandas",)):
            try:
                import pandas
            except ModuleNotFoundError as error:
                assert "left out" in str(error)
            else:
                raise AssertionError
        import pandas
    """
    assert "pandas" in _loaded_by(code)


def test_in_a_process_with_frames_nothing_is_left_out():
    import pandas as pd

    finders = list(sys.meta_path)
    with without(FRAMES):
        assert sys.meta_path == finders
    assert pd.DataFrame().empty


def test_beside_a_learner_that_says_nothing_nothing_is_left_out(monkeypatch):
    own = {name: one for name, one in learners().items() if one.without}
    monkeypatch.setattr(table, "learners", lambda: own)
    linear = own["linear"]
    assert table.left_out(linear) == linear.without == FRAMES
    other = replace(linear, name="theirs", without=())  # may give frames to scikit-learn
    monkeypatch.setattr(table, "learners", lambda: {**own, "theirs": other})
    assert table.left_out(linear) == table.left_out(other) == ()
    away = replace(other, requires=("no_such_package",))
    monkeypatch.setattr(table, "learners", lambda: {**own, "theirs": away})
    assert table.left_out(linear) == FRAMES
