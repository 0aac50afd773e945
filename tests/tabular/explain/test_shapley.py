"""Against the definition, by hand, and against the axioms."""

from __future__ import annotations

import itertools
import math
import time

import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular.explain import shapley
from rung.tabular.explain.shapley import Effort, explain_row
from support.tables import KINDS, fitted


def by_name(found: shapley.Explanation) -> dict[str, float]:
    return {part.column: part.amount for part in found.contributions}


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_sum_to_the_prediction(kind: str, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapley, "MOST_EXACT", 8 if exact else 0)
    model, frame = fitted(kind, "linear", "lightgbm")
    found = explain_row(model, frame, 5, effort=Effort(20))
    raw = model.raw(frame.iloc[[5]])
    expected = raw[0] if kind == "regression" else raw[0].max()
    assert found.exact is exact
    assert found.prediction == pytest.approx(float(expected), abs=1e-12)
    assert found.base + math.fsum(by_name(found).values()) == pytest.approx(found.prediction, abs=1e-12)
    assert set(by_name(found)) == {c.name for c in model.columns if c.used}, "original columns"
    sizes = [abs(part.amount) for part in found.contributions]
    assert sizes == sorted(sizes, reverse=True)


def brute(model, frame: pd.DataFrame, row: int, others: pd.DataFrame) -> dict[str, float]:
    """Shapley values as the definition has them, one order after the other."""
    names = [c.name for c in model.columns if c.used]

    def worth(chosen: tuple[str, ...]) -> float:
        mixed = others.copy()
        for name in chosen:
            mixed[name] = [frame[name].iloc[row]] * len(mixed)
        return float(model.raw(mixed).mean())

    known = {s: worth(s) for r in range(len(names) + 1) for s in itertools.combinations(names, r)}
    total = dict.fromkeys(names, 0.0)
    for order in itertools.permutations(names):
        inside: set[str] = set()
        for name in order:
            before = known[tuple(n for n in names if n in inside)]
            inside.add(name)
            total[name] += known[tuple(n for n in names if n in inside)] - before
    return {name: value / math.factorial(len(names)) for name, value in total.items()}


def test_it_is_the_definition() -> None:
    model, frame = fitted("regression", "lightgbm")
    others = frame.iloc[20:30].reset_index(drop=True)
    found = explain_row(model, frame, 3, others)
    assert found.exact
    expected = brute(model, frame, 3, others)
    assert by_name(found) == pytest.approx(expected, abs=1e-10)
    assert found.base == pytest.approx(model.raw(others).mean())


def test_sampling_comes_near_to_the_exact_values(monkeypatch: pytest.MonkeyPatch) -> None:
    model, frame = fitted("regression", "lightgbm")
    exact = by_name(explain_row(model, frame, 3))
    monkeypatch.setattr(shapley, "MOST_EXACT", 0)
    found = explain_row(model, frame, 3, effort=Effort(2000))
    for part in found.contributions:
        assert abs(part.amount - exact[part.column]) <= 5 * part.error + 1e-9
    assert max(part.error for part in found.contributions) < 0.05
    assert found.samples == 4000


def test_a_column_that_no_member_reads_gets_nothing() -> None:
    model, frame = fitted("regression", "linear")
    others = frame.assign(b="red")
    found = by_name(explain_row(model, frame.assign(b="red"), 3, others))
    assert found["b"] == 0
    assert found["a"] != 0


def test_a_row_like_all_others_needs_no_explanation() -> None:
    model, frame = fitted("regression")
    same = pd.concat([frame.iloc[[0]]] * 5, ignore_index=True)
    found = explain_row(model, same, 0)
    assert set(by_name(found).values()) == {0.0}
    assert found.base == found.prediction


def test_a_class_may_be_chosen_and_both_are_opposites() -> None:
    model, frame = fitted("binary")
    yes, no = (explain_row(model, frame, 0, output=k) for k in (1, 0))
    assert (yes.what, no.what) == ("P(yes)", "P(no)")
    assert yes.prediction + no.prediction == pytest.approx(1)
    for name, amount in by_name(yes).items():
        assert amount == pytest.approx(-by_name(no)[name], abs=1e-12)


def test_the_same_seed_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapley, "MOST_EXACT", 0)
    model, frame = fitted("binary")
    first, again, other = (by_name(explain_row(model, frame, 0, effort=Effort(5), seed=s)) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_missing_cells_are_cells_too() -> None:
    model, frame = fitted("regression")
    row = int(frame["a"].isna().to_numpy().argmax())
    part = next(p for p in explain_row(model, frame, row).contributions if p.column == "a")
    assert part.value is None


def test_after_the_deadline_one_batch_is_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapley, "MOST_EXACT", 0)
    model, frame = fitted("regression")
    found = explain_row(model, frame, 0, effort=Effort(10_000, time.monotonic() - 1))
    assert found.samples == 40
    assert found.base + math.fsum(by_name(found).values()) == pytest.approx(found.prediction)


@pytest.mark.parametrize("row", [-1, 120])
def test_a_row_that_is_not_there_is_one_sentence(row: int) -> None:
    model, frame = fitted("binary")
    with pytest.raises(DataError, match=rf"there is no row {row + 1}: the table has rows 1 to 120"):
        explain_row(model, frame, row)
