"""Rows whose target is empty: left out of a fit, and said, wherever it is called from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular import fit_table, fit_targets

QUICK = {"trials": 1, "include": ["linear"]}
NOTE = "30 rows left out, because column 'y' is empty there"


def _frame(n: int = 150) -> tuple[pd.DataFrame, np.ndarray]:
    """A table, and which of its rows are to have a target."""
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)}), np.arange(n) % 5 != 2


def _targets(a: pd.Series) -> dict[str, pd.Series]:
    words = pd.Series(np.where(a > 0, "yes", "no"))
    return {
        "floats": (a > 0).astype(float),
        "whole": (a > 0).astype("Int64"),
        "words": words,
        "objects": words.astype(object),
        "levels": words.astype("category"),
        "number": a,
    }


@pytest.mark.parametrize("kind", ["floats", "whole", "words", "objects", "levels", "number"])
def test_they_are_left_out_and_said(kind) -> None:
    frame, there = _frame()
    frame["y"] = _targets(frame.a)[kind].where(there)
    found = fit_table(frame, "y", holdout=0.2, **QUICK)
    assert NOTE in found.notes
    assert len(found.task.classes) == (0 if kind == "number" else 2)
    assert found.rows == 120
    alone = fit_table(frame[there].reset_index(drop=True), "y", holdout=0.2, **QUICK)
    assert np.array_equal(found.model.raw(frame), alone.model.raw(frame))


def test_rows_of_the_result_are_the_frames() -> None:
    frame, there = _frame()
    frame["y"] = frame.a.where(there)
    found = fit_table(frame, "y", holdout=0.2, **QUICK)
    y = frame.y.to_numpy()
    assert np.array_equal(y[found.valid], found.y)
    assert found.held is not None
    assert np.array_equal(y[found.held.rows], found.held.y)
    assert found.model.evidence is not None
    assert np.array_equal(y[found.model.evidence.rows], found.model.evidence.y)
    assert not {*found.valid} & {*found.held.rows}


def test_several_targets_are_empty_in_other_rows() -> None:
    frame, there = _frame()
    frame = frame.assign(y=frame.a.where(there), z=frame.b)
    found = fit_targets(frame, ["y", "z"], settings=QUICK).results
    assert NOTE in found["y"].notes
    assert [found[name].rows for name in "yz"] == [120, 150]


@pytest.mark.parametrize(
    ("target", "sentence"), [("y", "is empty in all 150 rows"), ("x", "has no column 'x'")]
)
def test_a_target_that_is_nowhere_is_refused(target, sentence) -> None:
    frame, _ = _frame()
    with pytest.raises(DataError, match=sentence):
        fit_table(frame.assign(y=np.nan), target, **QUICK)
