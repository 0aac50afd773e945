"""What is to be predicted: a class of two, of several, or a number; guessed, and said."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rung.errors import DataError
from rung.tabular.columns import word_of
from rung.tabular.names import did_you_mean, listed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Array: TypeAlias = npt.NDArray[Any]

Label: TypeAlias = str | int | float | bool
KINDS: Final = ("binary", "multiclass", "regression", "quantile:Q")
_TITLES: Final = 10  # first rows in which the names of columns are looked for
_SPOILT: Final = 0.2  # of the cells at most are words where numbers were meant
_COUNTED: Final = 4  # different numbers of things at least
MOST_CLASSES: Final = 20  # different whole numbers that are still taken for classes


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be predicted.

    Attributes:
        kind: "binary", "multiclass", "regression" or "quantile".
        classes: the labels as they stood in the table, sorted; of two, the second is the positive one.
            Empty for numbers.
        why: one line that says what was taken, and how to change it.
        quantile: which one is to be predicted; None for all other tasks.
    """

    kind: str
    classes: tuple[Label, ...]
    why: str
    quantile: float | None = None

    @property
    def is_classification(self) -> bool:
        """Whether labels are predicted rather than numbers."""
        return self.kind not in ("regression", "quantile")

    def encode(self, y: pd.Series) -> Array:
        """int64 codes 0..k-1 of the labels, or float64 values: (n,).

        Raises:
            DataError: a label that is none of the classes, or a value that is no number.
        """
        import numpy as np

        if not self.is_classification:
            return np.asarray(_numeric(y), dtype=np.float64)
        codes = self.find(y)
        if (codes < 0).any():
            unknown = _plain(y)[int((codes < 0).argmax())]
            raise DataError(
                f"{unknown!r} is none of the classes {listed(map(repr, self.classes), 'and')}; "
                "leave such rows out or train on them too"
            )
        return codes

    def find(self, y: pd.Series) -> Array:
        """int64 codes 0..k-1 of the labels, -1 of those that are none of the classes: (n,).

        What is written alike is the same label: a file with none but 1 and 2 of the classes 1, 2 and 3+ holds
        numbers.
        """
        import numpy as np
        import pandas as pd

        labels = _plain(y)
        codes = np.asarray(pd.Index(self.classes, dtype=object).get_indexer(pd.Index(labels, dtype=object)))
        lost = codes < 0
        if lost.any():
            written = {str(label): code for code, label in enumerate(self.classes)}
            codes[lost] = [written.get(str(x), written.get(word_of(x), -1)) for x in labels[lost]]
        return codes.astype(np.int64)

    def decode(self, codes: Array) -> Array:
        """The labels of codes, as they stood in the table: (n,)."""
        import numpy as np

        return label_array(self.classes)[np.asarray(codes, dtype=np.int64)]


def label_array(classes: tuple[Label, ...]) -> Array:
    """The classes as an array of their own type, objects if they have several."""
    import numpy as np

    kinds = {type(label) for label in classes}
    if kinds in ({int}, {bool}, {float}):
        return np.array(classes)
    labels = np.empty(len(classes), dtype=object)
    labels[:] = classes
    return labels


def no_target(frame: pd.DataFrame, target: str) -> DataError:
    """The error that there is no such column; a first row that holds its name is often the line of names."""
    names = [str(name) for name in frame.columns]
    for place in range(min(len(frame), _TITLES)):
        if target in {str(cell) for cell in frame.iloc[place].tolist()}:
            return DataError(
                f"the table has no column {target!r} to predict, but row {place + 1} below its first line "
                "holds that word; if the columns' names stand there, remove the lines above them"
            )
    return DataError(f"the table has no column {target!r} to predict; {did_you_mean(target, names)}")


def check_target(frame: pd.DataFrame, target: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows whose target is not empty, and notes about those left out.

    Raises:
        DataError: the target is no column, is empty, has one value only, or there is no other column.
    """
    if frame.columns.map(str).tolist() == [target]:
        raise DataError(f"the table has no column besides {target!r}; add columns to predict it from")
    kept, notes = with_target(frame, target)
    if kept[target].nunique() < 2:
        raise DataError(
            f"column {target!r} has the same value, {_plain(kept[target])[0]!r}, in every row"
            f"{' that is not empty or NA' if notes else ''}; "
            "there is nothing to predict, so name another --target"
        )
    return kept, notes


def with_target(frame: pd.DataFrame, target: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows whose target is not empty, counted anew where some are left out, and a note about those.

    Raises:
        DataError: the target is no column, or is empty in all rows.
    """
    if target not in frame.columns.map(str):
        raise no_target(frame, target)
    there = frame[target].notna()
    rows = int(there.sum())
    if rows == 0:
        raise DataError(
            f"column {target!r} is empty in all {len(frame)} rows; name another --target or fill it"
        )
    gone = len(frame) - rows
    if not gone:
        return frame, ()
    note = f"{gone} {'row' if gone == 1 else 'rows'} left out, because column {target!r} is empty there"
    return frame[there].reset_index(drop=True), (note,)


def guess_task(y: pd.Series, asked: str | None = None, positive: Any = None) -> Task:
    """The task that the target's values ask for, or the one asked for.

    Two different values are binary; words, booleans and at most 20 different whole numbers (each, on
    average, five times or more, and none once only) are classes; other numbers are regression, and so are
    0, 1, 2, 3 and on where each is at most half as frequent as the one before: counts of something rare.

    Args:
        asked: "binary", "multiclass", "regression", or "quantile:0.9" for that quantile.
        positive: the label of two whose probability and score is meant; the second in order unless given.

    Raises:
        DataError: `asked` is no task, or the values do not allow it; a positive class where numbers are
            predicted.
    """
    import pandas as pd

    asked, quantile = _asked(asked)
    name, distinct = str(y.name), int(y.nunique())
    kind = asked or _guess(y, distinct)
    if not asked and kind == "multiclass" and distinct > MOST_CLASSES and (why := _meant(y)):
        raise DataError(f"{why}, or ask for --task multiclass if they are names")
    numeric = pd.api.types.is_numeric_dtype(y.dtype) and not pd.api.types.is_bool_dtype(y.dtype)
    if kind in ("regression", "quantile"):
        _numeric(y)
        if positive is not None:
            _refuse_positive(positive, asked, name, distinct)
        return Task(
            kind, (), _why(kind, f"{name} has {distinct} different numbers", asked, numeric), quantile
        )
    if kind == "binary" and distinct > 2:
        raise DataError(
            f"column {name!r} has {distinct} different values, too many for a binary task; "
            "ask for multiclass or regression"
        )
    classes = _positive_last(_classes(y), positive, name)
    fact = f"{name} is {listed(map(str, classes), limit=4)}"
    if kind == "binary" and len(classes) == 2:
        guessed = positive is None and asked is None  # Python's doors ask for the task, and have no option
        other = f", or --positive {shlex.quote(str(classes[0]))}" if guessed else ""
        fact += f" (positive: {classes[1]}{other})"
    return Task(kind, classes, _why(kind, fact, asked, numeric))


def _asked(asked: str | None) -> tuple[str | None, float | None]:
    """The kind of task, and the quantile if it is one.

    Raises:
        DataError: there is no such task.
    """
    if asked is None:
        return None, None
    kind, _, level = asked.partition(":")
    if kind == "quantile":
        try:
            quantile = float(level)
        except ValueError:
            quantile = -1.0
        if not 0 < quantile < 1:
            raise DataError(f"{asked!r} names no quantile; say which one, between 0 and 1: quantile:0.9")
        return kind, quantile
    if asked not in KINDS:
        raise DataError(f"there is no task {asked!r}; it is one of {listed(KINDS)}")
    return asked, None


def _positive_last(classes: tuple[Label, ...], positive: Any, name: str) -> tuple[Label, ...]:
    """The classes, of two the positive one last."""
    if positive is None:
        return classes
    if len(classes) != 2:
        raise DataError(
            f"column {name!r} has {len(classes)} classes; a positive one can be named of two only"
        )
    word = str(positive)
    found = [label for label in classes if label == positive or word in (str(label), word_of(label))]
    if not found:
        raise DataError(
            f"{positive!r} is none of the classes {listed(map(repr, classes), 'and')} of {name!r}"
        )
    return (*(label for label in classes if label != found[0]), found[0])


def _refuse_positive(positive: Any, asked: str | None, name: str, distinct: int) -> None:
    why = f"{asked}, as asked, predicts numbers" if asked else f"column {name!r} is predicted as a number"
    two = asked and distinct == 2
    other = "ask for --task binary" if two else "name a target of two different values"
    raise DataError(
        f"{str(positive)!r} is named as the positive class, but {why}, which has none; leave it "
        f"out, or {other}"
    )


def _spoiling(y: pd.Series) -> list[str]:
    """The words among numbers, where there are a few only: at most one cell in five."""
    import pandas as pd

    from rung.tabular.written import to_numbers

    if pd.api.types.is_numeric_dtype(y.dtype):
        return []
    words = y.dropna().astype(str).str.strip()
    bad = words[to_numbers(words).isna()]
    return sorted(set(bad)) if 0 < len(bad) <= _SPOILT * len(words) else []


def _meant(y: pd.Series) -> str | None:
    from rung.tabular.meant import meant

    return meant(y)


def check_classes(y: pd.Series, task: Task) -> None:
    """Refuse classes of a single row: they can be learned from or checked on, not both.

    Raises:
        DataError: names such a class.
    """
    if not task.is_classification:
        return
    counts = y.value_counts()
    single = [str(label) for label, count in counts.items() if count == 1]
    if not single:
        return
    if len(single) > len(counts) / 2:
        if why := _meant(y):
            raise DataError(why)
        if words := _spoiling(y):
            raise DataError(
                f"column {str(y.name)!r} holds numbers, but for {listed(map(repr, words), 'and', 3)}; "
                "empty these cells (rows without a target are left out), or write numbers there"
            )
        raise DataError(
            f"column {str(y.name)!r} has {len(counts)} different values, most of them in one row only: "
            "these are no classes; name another --target" + _or_regression(y)
        )
    noun = f"class {single[0]!r}" if len(single) == 1 else f"each of the classes {listed(single, 'and', 5)}"
    raise DataError(
        f"{noun} of column {str(y.name)!r} has one row only, which cannot be learned from and checked "
        "too; add rows of it, merge it with another class, or remove its row"
    )


def _or_regression(y: pd.Series) -> str:
    import pandas as pd

    return " or ask for --task regression" if pd.api.types.is_numeric_dtype(y.dtype) else ""


def _guess(y: pd.Series, distinct: int) -> str:
    import pandas as pd

    if distinct == 2:
        return "binary"
    _refuse_dates(y)
    if not pd.api.types.is_numeric_dtype(y.dtype):
        return "multiclass"
    whole = bool((y.astype(float) % 1 == 0).all())
    few = distinct <= MOST_CLASSES and distinct * 5 <= len(y)
    few = few and int(y.value_counts().min()) > 1  # a long tail is a count's
    few = few and not _counted(y)
    return "multiclass" if whole and few else "regression"


def _counted(y: pd.Series) -> bool:
    """Whether the numbers are counts of something rare: 0, 1, 2, 3 and on, each at most half as frequent as
    the one before.
    """
    rows = y.astype(float).value_counts().sort_index()
    whole = rows.index.tolist() == list(range(len(rows)))
    halved = all(2 * later <= one for one, later in pairwise(rows.tolist()))
    return whole and halved and len(rows) >= _COUNTED


def _why(kind: str, fact: str, asked: str | None, numeric: bool) -> str:
    if asked:
        return f"{kind}, as asked: {fact}"
    other = "multiclass" if kind == "regression" else "regression"
    return f"{kind}, because {fact}" + (f"; change it with --task {other}" if numeric else "")


def _refuse_dates(y: pd.Series) -> None:
    import pandas as pd

    lasting = pd.api.types.is_timedelta64_dtype(y.dtype)
    if lasting or pd.api.types.is_datetime64_any_dtype(y.dtype):
        what = "durations" if lasting else "dates"
        raise DataError(
            f"column {str(y.name)!r} holds {what}; turn them into a number (days, say) or name another target"
        )


def _numeric(y: pd.Series) -> pd.Series:
    import pandas as pd

    _refuse_dates(y)
    numbers = pd.to_numeric(y, errors="coerce")
    if numbers.isna().any():
        if why := _meant(y):
            raise DataError(why)
        bad = _plain(y[numbers.isna()])[0]
        raise DataError(
            f"column {str(y.name)!r} holds {bad!r}, which is no number, so that regression cannot predict "
            "it; ask for another --task or correct the cell"
        )
    return numbers.astype(float)


def _classes(y: pd.Series) -> tuple[Label, ...]:
    """The distinct labels as plain Python values, sorted."""
    distinct = set(_plain(y.drop_duplicates()))
    return tuple(sorted(distinct, key=lambda label: (isinstance(label, str), label)))


def _plain(y: pd.Series) -> np.ndarray[Any, Any]:
    """Objects of bool, int, float or str: Python's own types, which JSON holds too."""
    import numpy as np
    import pandas as pd

    if pd.api.types.is_bool_dtype(y.dtype) or pd.api.types.is_numeric_dtype(y.dtype):
        values = y.to_numpy(dtype=y.dtype.name.lower() if y.dtype.name[0].isupper() else None).tolist()
    else:
        values = [v if isinstance(v, bool | int | float) else str(v) for v in y.tolist()]
    plain = np.empty(len(values), dtype=object)
    plain[:] = values
    return plain
