"""Tables that are not pandas': pyarrow's, polars' where it is installed, and what is no table."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import rung
from rung.errors import DataError
from rung.tabular.audit.check import audit_table
from rung.tabular.audit.compare import drift_between
from rung.tabular.audit.monitor import watch
from rung.tabular.columns import infer_columns, prepare
from rung.tabular.fit import fit_table
from rung.tabular.frames import as_pandas
from rung.tabular.predict import predict_covered, predict_table
from rung.tabular.several import fit_targets


def _frame(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.normal(size=n)
    return pd.DataFrame(
        {
            "a": np.where(rng.random(n) < 0.1, np.nan, a),
            "b": rng.choice(["x", "y", None], n),
            "day": pd.date_range("2020-01-01", periods=n),
            "y": np.where(a > 0, "up", "down"),
        }
    )


def _tables() -> list[pytest.param]:
    def polars(frame: pd.DataFrame) -> object:
        return pytest.importorskip("polars").from_pandas(frame)

    return [pytest.param(pa.Table.from_pandas, id="pyarrow"), pytest.param(polars, id="polars")]


@pytest.mark.parametrize("made", _tables())
def test_every_door_takes_it(made) -> None:
    frame = _frame()
    table = made(frame)
    model = fit_table(table, "y", budget=0.5).model
    pd.testing.assert_frame_equal(predict_table(model, table), predict_table(model, frame))
    assert (model.predict(table) == model.predict(frame)).all()
    assert predict_covered(model, table, 0.5)[0].shape == (120, 4)
    assert audit_table(table, "y").rows == 120
    assert drift_between(table, frame, "y").usable
    assert watch(model, table).drift is not None


@pytest.mark.parametrize("made", _tables())
def test_estimators_take_it(made) -> None:
    frame = _frame()
    X, y = frame.drop(columns="y"), frame["y"]
    model = rung.AutoClassifier(budget=0.5, random_state=0, include=["linear"]).fit(made(X), y)
    assert list(model.feature_names_in_) == ["a", "b", "day"]
    assert (model.predict_proba(made(X)) == model.predict_proba(X)).all()


def test_decimal_numbers_are_plain_ones() -> None:
    """Databases write money so; as a target they were words."""
    prices = [Decimal("12.50"), None, Decimal("3")]
    frame = pd.DataFrame({"price": prices, "word": ["a", Decimal(1), None]})
    found = as_pandas(frame)
    assert found["price"].dtype == float
    assert found["price"].tolist()[::2] == [12.5, 3.0]
    assert np.isnan(found["price"][1])
    assert found["word"].tolist() == frame["word"].tolist()


def test_numbers_of_several_types_and_long_ones_are_numbers() -> None:
    mixed, long = [Decimal("12.5"), 3.0, 2, None], [10**20, 1, None, -(10**30)]
    found = as_pandas(pd.DataFrame({"mixed": mixed, "long": long}, dtype=object))
    assert found.dtypes.tolist() == [float, float]
    np.testing.assert_equal(found["mixed"].to_numpy(), [12.5, 3.0, 2.0, np.nan])
    np.testing.assert_equal(found["long"].to_numpy(), [1e20, 1.0, np.nan, -1e30])
    for others in ([True, 1.5, Decimal(2)], [10**400, 1, 2]):
        assert as_pandas(pd.DataFrame({"x": others}, dtype=object))["x"].tolist() == others


def test_sparse_columns_are_dense_ones_as_a_target_too() -> None:
    numbers = pd.Series(np.tile([0, 0, 1, 0], 15))
    frame = pd.DataFrame({"x": numbers.astype(float), "y": numbers}).astype(pd.SparseDtype("int64", 0))
    found = as_pandas(frame)
    assert found.dtypes.tolist() == [np.int64, np.int64]
    assert found["y"].tolist() == numbers.tolist()
    model = fit_table(frame.assign(z=np.arange(60.0)), "y", trials=1, include=["linear"]).model
    assert set(model.predict(frame.assign(z=0.0))) <= {0, 1}


def test_what_is_no_table_is_one_sentence() -> None:
    frame = _frame()
    assert as_pandas(frame) is frame
    with pytest.raises(DataError, match=r"and not a list: make a pandas\.DataFrame of it"):
        fit_table([1, 2], "y", budget=0.5)

    class LazyFrame:
        def collect(self) -> None: ...

    with pytest.raises(DataError, match=r"and not a LazyFrame: call its collect\(\) first"):
        as_pandas(LazyFrame())
    with pytest.raises(DataError, match="one column, and a table is needed"):
        as_pandas(pa.chunked_array([[1, 2]]))


def test_a_column_may_be_called_as_python_calls_an_object() -> None:
    frame = _frame().rename(columns={"a": "self"})
    model = rung.AutoClassifier(budget=0.5, random_state=0, include=["linear"])
    assert model.fit(frame[["b", "self"]], frame["y"]).feature_names_in_.tolist() == ["b", "self"]
    assert model.fit(frame[["b"]], frame["y"].rename("self")).predict(frame[["b"]]).shape == (120,)
    dated = _frame().rename(columns={"day": "self"})
    dated["self"] = dated["self"].astype(str).where(dated.index % 20 > 0, "9999-12-31")
    assert [one.name for one in audit_table(dated, "y").columns] == ["a", "b", "self"]
    assert drift_between(dated, dated, "y").usable
    assert watch(fit_table(dated, "y", budget=0.5).model, dated).drift is not None


def test_columns_that_are_named_by_numbers() -> None:
    frame = _frame().set_axis([0, 1, 2, 3], axis=1)
    model = fit_table(frame, "3", budget=0.5, workers=1, include=["bayes"]).model
    assert [column.name for column in model.columns] == ["0", "1", "2"]
    assert len(model.predict(frame)) == 120
    assert frame.columns.tolist() == [0, 1, 2, 3], "the caller's frame is as it was"


def _arrows() -> dict[str, tuple[pd.Series, pd.Series]]:
    """Columns of types that pandas has from Arrow, and the same in other ones."""
    moments = pd.Series(pd.date_range("2020-01-01", periods=60, freq="31h")).where(np.arange(60) != 7)
    days, lasting = moments.dt.normalize(), moments - moments.min() + pd.Timedelta(days=120)
    clock = moments.dt.time.where(moments.notna(), None)
    lists = pd.Series([np.array([1]), np.array([2, 3]), None, np.array([1])] * 15, dtype=object)
    numbers = pd.Series([1.0, 2.0, np.nan] * 20)
    return {
        "date32": (days.dt.date.astype("date32[pyarrow]"), days),
        "date64": (days.dt.date.astype(pd.ArrowDtype(pa.date64())), days),
        "time32": (clock.astype(pd.ArrowDtype(pa.time32("s"))), clock),
        "time64": (clock.astype(pd.ArrowDtype(pa.time64("us"))), clock),
        "duration[ns]": (lasting.astype("duration[ns][pyarrow]"), lasting),
        "duration[s]": (lasting.astype("duration[s][pyarrow]"), lasting),
        "timestamp": (moments.astype("timestamp[us][pyarrow]"), moments),
        "zone": (
            moments.dt.tz_localize("UTC").astype(pd.ArrowDtype(pa.timestamp("s", "Europe/Berlin"))),
            moments,
        ),
        "list": (lists.astype(pd.ArrowDtype(pa.list_(pa.int64()))), lists),
        "decimal": (pd.Series([1, 2, None] * 20, dtype=pd.ArrowDtype(pa.decimal128(21, 2))), numbers),
    }


@pytest.mark.parametrize("name", list(_arrows()))
def test_columns_of_arrows_types_are_read_as_others_are(name) -> None:
    given, other = (as_pandas(pd.DataFrame({"x": cells})) for cells in _arrows()[name])
    (column,) = infer_columns(other)
    assert replace(infer_columns(given)[0], words=column.words) == column
    if column.used:
        pd.testing.assert_frame_equal(prepare(given, [column]), prepare(other, [column]))


def test_a_model_of_arrows_dates_and_times_predicts() -> None:
    cells = {name: given for name, (given, _) in _arrows().items() if name in ("date32", "time64")}
    frame = pd.DataFrame({**cells, "y": np.arange(60) % 2}).drop(index=7)
    result = fit_table(frame, "y", trials=1, budget=1, workers=1, include=["linear"], split="time:date32")
    assert [column.kind for column in result.columns] == ["date", "number"]
    assert result.model.predict(frame).shape == (59,)


def test_columns_whose_names_are_no_texts_are_named_as_they_are() -> None:
    """As of `pd.DataFrame(array)`."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 4)))
    frame[3] = frame[0] > 0
    told = {"trials": 1, "workers": 1, "include": "linear"}
    frame[4] = 1
    result = fit_table(frame, 3, drop=1, weights=4, kinds={2: "category"}, **told)
    assert [(column.name, column.kind) for column in result.columns if column.used] == [
        ("0", "number"),
        ("2", "category"),
    ]
    assert result.model.predict(frame).tolist() == frame[3].tolist()
    several = fit_targets(frame, [3, 1], drop=[4], settings={**told, "drop": 2}, budget=2)
    assert list(several.results) == ["3", "1"]
    assert [column.name for column in several.results["1"].columns if column.used] == ["0"]
    assert audit_table(frame, 3, asked={2: "category"}).target == "3"
    two = frame.set_axis(pd.MultiIndex.from_product([["a", "b"], [1, 2, 3]])[:5], axis=1)
    assert fit_table(two, ("b", 1), **told).model.target == "('b', 1)"
    with pytest.raises(DataError, match=r"no column '7' to predict; there is 0, 1, 2, 3 and 4"):
        fit_table(frame, 7)
    with pytest.raises(DataError, match="no column '9'"):
        fit_table(frame, 3, drop=[9])


def test_complex_numbers_are_refused() -> None:
    frame = pd.DataFrame({"x": np.arange(20.0), "z": np.arange(20) + 1j, "y": [0, 1] * 10})
    with pytest.raises(DataError, match="column 'z' holds complex numbers: make two columns of it"):
        fit_table(frame, "y")
