import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular.task import check_classes, check_target, guess_task


def y(values: object, **kinds: object) -> pd.Series:
    return pd.Series(values, name="y", **kinds)


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        ([0, 1, 1, 0], "binary", (0, 1)),
        ([2.5, 7.0] * 3, "binary", (2.5, 7.0)),
        (["yes", "no"] * 3, "binary", ("no", "yes")),
        ([True, False] * 3, "binary", (False, True)),
        (["a", "b", "c"] * 3, "multiclass", ("a", "b", "c")),
        ([3, 1, 2] * 10, "multiclass", (1, 2, 3)),
        ([-2, 0, 1.0] * 10, "multiclass", (-2.0, 0.0, 1.0)),
        (list(range(21)) * 20, "regression", ()),
        ([1, 2, 3, 4], "regression", ()),
        ([0.5, 1.5, 2.5] * 10, "regression", ()),
        ([0, 1, 2, 3] * 10 + [9], "regression", ()),
        ([0] * 80 + [1] * 30 + [2] * 10 + [3] * 2, "regression", ()),
        ([0] * 80 + [1] * 30 + [2] * 20 + [3] * 2, "multiclass", (0, 1, 2, 3)),
        ([1] * 80 + [2] * 30 + [3] * 10 + [4] * 2, "multiclass", (1, 2, 3, 4)),
    ],
)
def test_the_guess(values: list[object], kind: str, classes: tuple[object, ...]) -> None:
    task = guess_task(y(values))
    assert (task.kind, task.classes) == (kind, classes)
    assert [type(c) for c in task.classes] == [type(c) for c in classes]
    assert task.why.startswith(kind)
    assert "\n" not in task.why


def test_labels_come_back_as_they_stood() -> None:
    for values in (
        y([3, 1, 3], dtype="Int64"),
        y([True, False]),
        y(["b", "a"]),
        y([1.0, 2.0]),
        y([1, "a", 1, "a"]),
    ):
        task = guess_task(values)
        back = task.decode(task.encode(values))
        assert back.tolist() == values.tolist()


def test_codes_follow_the_sorted_classes() -> None:
    task = guess_task(y(["no", "yes", "no"]))
    assert task.encode(y(["yes", "no"])).tolist() == [1, 0]
    with pytest.raises(DataError, match="'maybe' is none of the classes 'no' and 'yes'"):
        task.encode(y(["maybe"]))


def test_asking_overrules_the_guess() -> None:
    assert guess_task(y([0, 1, 1, 0]), "regression").kind == "regression"
    assert guess_task(y([0, 1, 1, 0]), "multiclass").kind == "multiclass"
    assert guess_task(y([1.5, 2.5, 3.5]), "multiclass").classes == (1.5, 2.5, 3.5)
    with pytest.raises(DataError, match="3 different values, too many for a binary task"):
        guess_task(y([1, 2, 3]), "binary")
    with pytest.raises(DataError, match="holds 'a', which is no number"):
        guess_task(y(["a", "b"]), "regression")
    with pytest.raises(DataError, match="there is no task 'clustering'"):
        guess_task(y([1, 2]), "clustering")
    for asked in (None, "regression"):
        with pytest.raises(DataError, match="holds dates; turn them into a number"):
            guess_task(y(pd.date_range("2024", periods=5)), asked)
        with pytest.raises(DataError, match="holds durations; turn them into a number"):
            guess_task(y(pd.timedelta_range("1h", periods=5)), asked)


def test_a_class_of_one_row() -> None:
    rare = y(["a", "a", "b", "b", "c"])
    with pytest.raises(DataError, match="class 'c' of column 'y' has one row only"):
        check_classes(rare, guess_task(rare))
    names = y([f"person {i}" for i in range(9)])
    with pytest.raises(DataError, match="these are no classes"):
        check_classes(names, guess_task(names))
    numbers = y([1.5, 2.5, 3.5])
    check_classes(numbers, guess_task(numbers))


def test_rows_without_a_target_are_left_out() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3], "y": [1.0, np.nan, 2.0]})
    kept, notes = check_target(frame, "y")
    assert kept["x"].tolist() == [1, 3]
    assert kept.index.tolist() == [0, 1]
    assert notes == ("1 row left out, because column 'y' is empty there",)
    assert check_target(frame, "x") == (frame, ()) or check_target(frame, "x")[1] == ()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"income": [1, 2], "b": [1, 2]}, r"no column 'incme' to predict; did you mean income\?"),
        ({"incme": [None, None], "b": [1, 2]}, "is empty in all 2 rows"),
        ({"incme": [1, 1], "b": [1, 2]}, "has the same value, .*1.*, in every row;"),
        (
            {"incme": ["EU", None], "b": [1, 2]},
            "has the same value, 'EU', in every row that is not empty or NA;",
        ),
        ({"incme": [1, 2]}, "no column besides 'incme'"),
    ],
)
def test_a_target_that_cannot_be_predicted(frame: dict[str, list[object]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        check_target(pd.DataFrame(frame), "incme")


def test_a_positive_class_makes_classes_or_is_refused():
    two = pd.Series([0.5, 1.5] * 10, name="y")
    assert guess_task(two, positive="0.5").classes == (1.5, 0.5)
    whole = pd.Series([1.0, 2.0] * 10, name="y")  # of a file they would be 1 and 2
    assert guess_task(whole, positive="1").classes == guess_task(whole, positive=1).classes == (2.0, 1.0)
    with pytest.raises(DataError, match=r"regression, as asked, predicts numbers.*or ask for --task binary"):
        guess_task(two, "regression", "1.5")
    many = pd.Series(np.linspace(0, 1, 40), name="y")
    for asked in (None, "quantile:0.9"):
        with pytest.raises(DataError, match=r"'1' is named as the positive class.*of two different values"):
            guess_task(many, asked, "1")


def test_a_guessed_positive_class_is_told_with_how_to_change_it():
    y = pd.Series(["yes", "not yet"] * 5, name="sold")
    assert (
        guess_task(y).why == "binary, because sold is not yet or yes (positive: yes, or --positive 'not yet')"
    )
    assert guess_task(y, "binary").why.endswith("(positive: yes)")
    assert guess_task(y, positive="not yet").why.endswith("(positive: not yet)")
