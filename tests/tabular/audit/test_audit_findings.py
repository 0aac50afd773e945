"""Each finding on a table that has it, and none of it on a table that has it not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular.audit.check import audit_table, findings
from rung.tabular.audit.finding import SEVERITIES, Finding, by_severity, share, words_of
from rung.tabular.audit.leakage import binned
from rung.tabular.audit.repeats import row_findings
from rung.tabular.columns import infer_columns

N = 300
DOCS = Path(__file__).parents[3] / "docs" / "check.md"


def plain(n: int = N, seed: int = 0) -> pd.DataFrame:
    """A table about which there is nothing to say, with a target `y` of two classes."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.random(n)
    return pd.DataFrame(
        {
            "a": a,
            "b": b,
            "colour": rng.choice(["red", "green", "blue"], n),
            "when": pd.date_range("2020-01-01", periods=n, freq="37h").strftime("%Y-%m-%d"),
            "y": np.where(a + rng.normal(size=n) > 0, "yes", "no"),
        }
    )


def numeric(n: int = N) -> pd.DataFrame:
    """The same with a number as target."""
    frame = plain(n)
    return frame.assign(y=frame.a + np.random.default_rng(1).normal(size=n))


def some(values: object, part: float, fill: object, seed: int = 2) -> np.ndarray:
    """The values as objects, a part of them replaced."""
    array = np.array(values, dtype=object)
    array[np.random.default_rng(seed).random(len(array)) < part] = fill
    return array


def first(values: object, count: int, fill: object) -> np.ndarray:
    array = np.array(values, dtype=object)
    array[:count] = fill
    return array


def cases() -> dict[str, tuple[str, pd.DataFrame, str, str]]:
    """By a name: the check, the table, the subject, and the severity that it must have."""
    f, g, rng = plain(), numeric(), np.random.default_rng(5)
    yes = (f.y == "yes").to_numpy()
    wide = pd.DataFrame(rng.normal(size=(60, 80)), columns=[f"f{i}" for i in range(80)])
    twice = pd.concat([f, f.head(30)], ignore_index=True)
    conflict = pd.concat([f, f.head(30).assign(y=np.where(yes[:30], "no", "yes"))], ignore_index=True)
    gone = rng.random(N) < 0.2
    holed = f.assign(p=np.where(gone, np.nan, rng.random(N)), q=np.where(gone, None, "u"))
    levels = [f"{word} {i}" for i, word in enumerate(["x", "y"] * 75)]
    return {
        "empty": ("empty", f.assign(z=np.nan), "z", "note"),
        "constant": ("constant", f.assign(z="same"), "z", "note"),
        "identifier": ("identifier", f.assign(z=[f"k{i}x" for i in range(N)]), "z", "note"),
        "identifier that counts": ("identifier", f.assign(id=range(N)), "id", "note"),
        "key": ("key-like", f.assign(customer_id=rng.permutation(N) * 7 + 1000), "customer_id", "warning"),
        "key in camel case": (
            "key-like",
            f.assign(CustomerId=rng.permutation(N) * 7),
            "CustomerId",
            "warning",
        ),
        "key without a name": ("key-like", f.assign(z=rng.permutation(N) + 5), "z", "warning"),
        "near constant": ("near-constant", f.assign(z=first([0] * N, 2, 1).astype(int)), "z", "note"),
        "one value or missing": ("near-constant", f.assign(z=some(["u"] * N, 0.3, None)), "z", "note"),
        "missing": ("missing", f.assign(z=some(f.b, 0.2, np.nan).astype(float)), "z", "note"),
        "mostly missing": ("missing", f.assign(z=some(f.b, 0.8, np.nan).astype(float)), "z", "warning"),
        "missing together": ("missing-together", holed, "(table)", "note"),
        "infinite": ("infinite", f.assign(z=first(f.b, 3, np.inf).astype(float)), "z", "warning"),
        "-999": ("sentinel", f.assign(z=some(f.b, 0.1, -999.0).astype(float)), "z", "warning"),
        "999 as whole numbers": (
            "sentinel",
            f.assign(z=some(rng.integers(0, 30, N), 0.9, 999).astype(int)),
            "z",
            "warning",
        ),
        "-1": ("sentinel", f.assign(z=some(rng.integers(0, 60, N), 0.1, -1).astype(int)), "z", "warning"),
        "outlier": ("outliers", f.assign(z=first(f.a, 1, 60.0).astype(float)), "z", "note"),
        "wild outlier": ("outliers", f.assign(z=first(f.a, 1, 1e7).astype(float)), "z", "warning"),
        "skewed": ("skewed", f.assign(z=np.exp(2 * rng.normal(size=N))), "z", "note"),
        "words among numbers": (
            "mixed-types",
            f.assign(z=first([str(round(x, 4)) for x in f.b], 4, "broken")),
            "z",
            "warning",
        ),
        "numbers among words": ("mixed-types", f.assign(z=some(f.colour, 0.4, "12")), "z", "warning"),
        "no dates among dates": ("mixed-types", f.assign(z=first(f.when, 5, "soon")), "z", "warning"),
        "leading zeros": (
            "leading-zeros",
            f.assign(z=[f"{i:05d}" for i in rng.integers(0, 60, N)]),
            "z",
            "note",
        ),
        "blank words": ("blank-words", f.assign(z=some(f.colour, 0.1, "N.A.")), "z", "note"),
        "blanks": ("blank-words", f.assign(z=some(f.colour, 0.1, "  ")), "z", "note"),
        "spelling": ("spelling", f.assign(z=some(f.colour, 0.1, "Red ")), "z", "warning"),
        "rare spelling": ("spelling", f.assign(z=first(f.colour, 1, "RED")), "z", "note"),
        "rare levels": ("rare-levels", f.assign(z=first(f.colour, 2, "mauve")), "z", "note"),
        "many levels": ("many-levels", f.assign(z=rng.choice(levels, N)), "z", "note"),
        "1970": ("placeholder-dates", f.assign(z=some(f.when, 0.05, "1970-01-01")), "z", "warning"),
        "1900": ("placeholder-dates", f.assign(z=some(f.when, 0.05, "1900-01-01")), "z", "warning"),
        "9999": ("placeholder-dates", f.assign(z=some(f.when, 0.03, "9999-12-31")), "z", "warning"),
        "future": ("future-dates", f.assign(z=some(f.when, 0.05, "2191-05-01")), "z", "note"),
        "same column": ("duplicated-columns", f.assign(z=f.a), "(table)", "note"),
        "renamed column": (
            "duplicated-columns",
            f.assign(z=f.colour.map({"red": "R", "green": "G", "blue": "B"})),
            "(table)",
            "note",
        ),
        "other unit": ("collinear", f.assign(z=f.a * 1.8 + 32), "(table)", "note"),
        "duplicated rows": ("duplicated-rows", twice, "(table)", "warning"),
        "few duplicated rows": (
            "duplicated-rows",
            pd.concat([f, f.head(2)], ignore_index=True),
            "(table)",
            "note",
        ),
        "conflicting rows": ("conflicting-rows", conflict, "(table)", "warning"),
        "conflicting numbers": (
            "conflicting-rows",
            pd.concat([g, g.head(30).assign(y=5.0)], ignore_index=True),
            "(table)",
            "warning",
        ),
        "wide": ("wide", wide.assign(y=["u", "v"] * 30), "(table)", "note"),
        "nothing to learn from": (
            "no-columns",
            pd.DataFrame({"a": [1] * 60, "b": [np.nan] * 60, "y": ["u", "v"] * 30}),
            "(table)",
            "error",
        ),
        "constant target": ("target", f.assign(y="yes"), "y", "error"),
        "empty target": ("target", f.assign(y=None), "y", "error"),
        "target of single rows": ("target", f.assign(y=[f"v{i}" for i in range(N)]), "y", "error"),
        "class of one row": ("target", f.assign(y=first(f.y, 1, "perhaps")), "y", "error"),
        "infinite target": ("target", g.assign(y=first(g.y, 1, np.inf).astype(float)), "y", "error"),
        "missing target": ("target-missing", f.assign(y=some(f.y, 0.2, None)), "y", "warning"),
        "few missing targets": ("target-missing", f.assign(y=first(f.y, 2, None)), "y", "note"),
        "few rows": ("few-rows", f.head(40), "y", "warning"),
        "rare class": ("rare-classes", f.assign(y=first(f.y, 6, "perhaps")), "y", "warning"),
        "imbalance": ("imbalance", f.assign(y=first(["no"] * N, 12, "yes")), "y", "note"),
        "skewed target": ("skewed-target", g.assign(y=np.exp(1.5 * g.y)), "y", "note"),
        "spike in the target": ("target-spike", g.assign(y=some(g.y, 0.5, 0.0).astype(float)), "y", "note"),
        "leakage": ("leakage", f.assign(z=yes + 0.1 * rng.random(N)), "z", "warning"),
        "leakage by words": ("leakage", f.assign(z=np.where(yes, "won", "lost")), "z", "warning"),
        "leakage not in order": (
            "leakage",
            f.assign(z=np.where(yes, rng.choice([1, 3], N), 2) + 0.1 * rng.random(N)),
            "z",
            "warning",
        ),
        "leakage of a number": ("leakage", g.assign(z=g.y**3), "z", "warning"),
        "leakage of many classes": (
            "leakage",
            f.assign(y=f.colour, colour=f.y, z=f.colour.str.len() + 0.1 * rng.random(N)),
            "z",
            "warning",
        ),
        "filled in afterwards": (
            "leakage-missing",
            f.assign(z=np.where(yes & (rng.random(N) < 0.9), rng.random(N), np.nan)),
            "z",
            "warning",
        ),
        "name of the target": (
            "leakage-name",
            f.rename(columns={"y": "churn"}).assign(churn_reason=f.b.to_numpy()[::-1]),
            "churn_reason",
            "note",
        ),
        "name of an outcome": ("leakage-name", f.assign(final_grade=rng.random(N)), "final_grade", "note"),
    }


CASES = cases()


def target_of(frame: pd.DataFrame) -> str:
    return "churn" if "churn" in frame else "y"


def found(frame: pd.DataFrame, check: str) -> list[Finding]:
    return [one for one in findings(frame, target_of(frame)) if one.check == check]


@pytest.mark.parametrize("case", CASES)
def test_a_table_that_has_it(case: str) -> None:
    check, frame, subject, severity = CASES[case]
    hits = [one for one in found(frame, check) if one.subject == subject]
    assert [one.severity for one in hits] == [severity]
    assert hits[0].sentence
    assert hits[0].remedy


@pytest.mark.parametrize("far", ["31.12.9999", "01.01.0001", "31.12.2999"])
def test_a_date_of_a_year_that_no_moment_holds_is_said_to_be_missing(far: str) -> None:
    dates = pd.to_datetime(plain().when).dt.strftime("%d.%m.%Y")
    hits = [one for one in findings(plain().assign(z=first(dates, 3, far)), "y") if one.subject == "z"]
    assert [(one.check, one.sentence, one.remedy) for one in hits] == [
        (
            "placeholder-dates",
            f"in a year before 1678 or after 2261 in 3 rows (1.0 %) with '{far}': programs write such dates "
            "where the date is not known",
            "rung takes these cells as missing; correct those that are meant",
        )
    ]


def test_far_dates_and_words_among_dates_are_told_apart() -> None:
    dates = first(first(plain().when, 5, "9999-12-31"), 2, "soon")
    for column in (dates, pd.Series(dates, dtype="category")):
        hits = [one for one in findings(plain().assign(z=column), "y") if one.subject == "z"]
        assert [one.check for one in hits] == ["placeholder-dates", "mixed-types"]
        assert "in 3 rows (1.0 %) with '9999-12-31'" in hits[0].sentence
        assert hits[1].sentence == "dates, but for 2 rows (0.7 %) with 'soon'"
    typed = pd.Series(first(plain().when, 5, "9999-12-31")).astype("datetime64[s]")
    (one,) = [one for one in findings(plain().assign(z=typed), "y") if one.subject == "z"]
    assert "in 5 rows (1.7 %) with '9999-12-31'" in one.sentence


@pytest.mark.parametrize("frame", [plain(), numeric(), plain(1000, 7)], ids=["classes", "numbers", "longer"])
def test_a_table_about_which_there_is_nothing_to_say(frame: pd.DataFrame) -> None:
    assert findings(frame, "y") == []


ALMOST = {
    "near-constant": plain().assign(z=["u"] * 270 + ["v"] * 30),
    "sentinel": plain().assign(z=np.r_[np.arange(299.0) * 4, 999.0]),
    "key-like": plain().assign(z=np.random.default_rng(0).integers(0, 10_000_000, N)),
    "outliers": plain().assign(z=np.random.default_rng(0).normal(size=N)),
    "skewed": plain().assign(z=np.random.default_rng(0).exponential(size=N)),
    "mixed-types": plain().assign(z=[f"{x}" for x in plain().b]),
    "leading-zeros": plain().assign(z=[f"{x}" for x in np.random.default_rng(0).integers(10, 99, N)]),
    "blank-words": plain().assign(z=["nonesuch", "minus"] * 150),
    "spelling": plain().assign(z=["red", "rod"] * 150),
    "rare-levels": plain().assign(z=["u"] * 200 + ["v"] * 94 + ["w"] * 6),
    "placeholder-dates": plain().assign(z=pd.date_range("1969-12-01", periods=N).strftime("%Y-%m-%d")),
    "future-dates": plain().assign(z="2020-01-01"),
    "duplicated-columns": plain().assign(z=plain().colour.to_numpy()[::-1]),
    "collinear": plain().assign(z=plain().a + 0.1 * plain().b),
    "duplicated-rows": pd.concat([plain(), plain().assign(a=plain().a + 1e-9)], ignore_index=True),
    "conflicting-rows": pd.concat([plain(), plain().head(9)], ignore_index=True),
    "rare-classes": plain().assign(y=["u"] * 275 + ["v"] * 25),
    "imbalance": plain().assign(y=["u"] * 275 + ["v"] * 25),
    "leakage": plain().assign(z=(plain().y == "yes") + np.random.default_rng(0).normal(size=N)),
    "leakage-missing": plain().assign(z=some(plain().b, 0.4, np.nan).astype(float)),
    "leakage-name": plain().assign(finality=plain(seed=9).b, postcode=plain(seed=8).b),
    "missing": plain().assign(z=some(plain().b, 0.02, np.nan).astype(float)),
    "missing-together": plain().assign(
        p=some(plain().b, 0.2, np.nan, 1).astype(float), q=some(plain(seed=4).b, 0.2, np.nan, 2).astype(float)
    ),
}


@pytest.mark.parametrize("check", ALMOST)
def test_a_table_that_almost_has_it(check: str) -> None:
    assert found(ALMOST[check], check) == []


def test_errors_come_first() -> None:
    severities = [one.severity for one in findings(plain().assign(y="same", z=np.nan, w=-999), "y")]
    assert severities == sorted(severities, key=SEVERITIES.index)
    assert severities[0] == "error"


def test_order_within_a_severity_stays() -> None:
    notes = [Finding("note", str(i), "", "", "") for i in range(3)]
    late = Finding("error", "late", "", "", "")
    assert by_severity([*notes, late]) == [late, *notes]


def test_without_a_target_the_columns_are_looked_at() -> None:
    audit = audit_table(plain().assign(z=np.nan))
    assert audit.task is None
    assert [one.check for one in audit.findings] == ["empty"]
    assert audit.fittable


def test_an_error_means_that_no_model_can_be_fitted() -> None:
    assert not audit_table(plain().assign(y="same"), "y").fittable
    assert audit_table(plain(), "y").fittable


def test_a_target_that_is_no_column_is_bad_input() -> None:
    with pytest.raises(DataError, match=r"no column 'colors'.*colour"):
        findings(plain(), "colors")


def test_columns_of_one_name_are_bad_input() -> None:
    frame = pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"])
    with pytest.raises(DataError, match="two columns are named 'a'"):
        findings(frame)


def test_the_frame_stays_as_it_was() -> None:
    frame = plain().set_index(np.arange(N)[::-1])
    copy = frame.copy(deep=True)
    findings(frame, "y")
    pd.testing.assert_frame_equal(frame, copy)


def test_twice_the_same_findings() -> None:
    frame = CASES["leakage"][1]
    assert findings(frame, "y") == findings(frame, "y")


def test_known_columns_are_taken_as_they_are() -> None:
    from rung.tabular.columns import Column

    known = [Column("colour", "category", 3, 0.0), Column("b", "number", N, 0.0)]
    audit = audit_table(plain().assign(z=np.nan), "y", known=known)
    assert [one.name for one in audit.columns] == ["colour", "b"]


def test_a_task_that_is_asked_for() -> None:
    frame = plain().assign(y=np.random.default_rng(0).integers(0, 4, N))
    assert audit_table(frame, "y").task.kind == "multiclass"
    assert audit_table(frame, "y", "regression").task.kind == "regression"
    assert [one.check for one in findings(plain(), "y", "regression")] == ["target"]


def test_the_best_that_any_model_can_do_is_said() -> None:
    """Each row stands there three times, once with another class."""
    frame = pd.concat([plain(), plain(), plain().assign(y="perhaps")], ignore_index=True)
    (one,) = found(frame, "conflicting-rows")
    assert "66.7 % of all rows" in one.sentence


def test_odd_frames_are_looked_at_too() -> None:
    odd = pd.DataFrame(
        {
            "list": [[1], [2]] * 30,
            "bool": [True, False] * 30,
            "time": pd.date_range("2020-01-01", periods=60, tz="Europe/Paris"),
            "category": pd.Categorical(["a", "b", None] * 20),
            "int": pd.array([1, None, 3] * 20, dtype="Int64"),
            5: np.arange(60) % 7,
            "y": [1, 0, 1] * 20,
        }
    )
    audit = audit_table(odd, "y")
    assert [one.name for one in audit.columns] == ["list", "bool", "time", "category", "int", "5"]


def test_how_sure_a_kind_is() -> None:
    numbers = np.array([str(x) for x in range(200)], dtype=object)
    numbers[:5] = "odd"
    columns = {one.name: one for one in audit_table(plain(200).assign(z=numbers)).columns}
    assert columns["z"].kind == "number"
    assert columns["z"].agree == pytest.approx(195 / 200)
    assert columns["colour"].agree == 1


def test_a_long_table_is_looked_at_like_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kinds come from a sample then, and the counts from all rows."""
    from rung.tabular.audit import cells

    frame = CASES["-999"][1].assign(
        key=[f"k{i}x" for i in range(N)], few=first(["u"] * N, 2, "v"), gone=some(plain().b, 0.2, None)
    )
    whole = audit_table(frame, "y")
    monkeypatch.setattr(cells, "SAMPLE", 100)
    sampled = audit_table(frame, "y")
    assert sampled.columns == whole.columns
    assert sampled.findings == whole.findings


def test_every_check_is_in_the_documentation() -> None:
    text = DOCS.read_text()
    for check in {case[0] for case in CASES.values()}:
        assert f"`{check}`" in text, check


def test_shares_never_say_none_or_all_of_some() -> None:
    assert share(0.0004) == "under 0.1 %"
    assert share(0.9996) == "over 99.9 %"
    assert share(0.25) == "25.0 %"
    assert share(1) == "100 %"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CustomerId", ["customer", "id"]),
        ("final_grade", ["final", "grade"]),
        ("HTTPCode", ["http", "code"]),
        ("Days to event", ["days", "to", "event"]),
    ],
)
def test_words_of_a_name(name: str, words: list[str]) -> None:
    assert words_of(name) == words


def test_equal_values_share_a_bin_and_missing_ones_have_their_own() -> None:
    values = np.r_[np.zeros(100), np.arange(100.0), np.full(20, np.nan)]
    codes = binned(values)
    assert len(set(codes[:101])) == 1
    assert len(set(codes[200:])) == 1
    assert codes[200] not in codes[:200]
    assert np.bincount(codes[101:200]).max() <= 8


@pytest.mark.parametrize(("times", "said"), [(9, "holds copies out together"), (10, "like others")])
def test_repeated_rows_are_said_to_be_held_out_as_they_are(times: int, said: str) -> None:
    frame = pd.concat([plain()] * times, ignore_index=True)
    (found,) = row_findings(frame, infer_columns(frame), None)
    assert said in found.remedy


def test_copies_of_a_row_that_is_often_there_are_said_to_be_held_out_apart() -> None:
    frame = pd.concat([plain(), plain().head(20), *[plain().tail(1)] * 9], ignore_index=True)
    (found,) = row_findings(frame, infer_columns(frame), None)
    assert "together, but those of a row that is there 10 times or more like others" in found.remedy
