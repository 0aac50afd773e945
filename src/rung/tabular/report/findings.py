"""What a report shows that has to be computed: as much as there is time for, each part with a sentence where
there was none.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import prepare
from rung.tabular.explain.dependence import Dependence, partial_dependence
from rung.tabular.explain.pace import PILOT, Pace, measure
from rung.tabular.explain.scores import Interval, bootstrap
from rung.tabular.explain.shapley import Effort, explain_row
from rung.tabular.explain.slices import Slices, find_slices
from rung.tabular.explain.trees import Contributions, tree_contributions
from rung.tabular.importance import Importance, permutation_importance
from rung.tabular.result import FitResult

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.model import Model
    from rung.tabular.unseen import Folds, Unseen

TOP: Final = 5  # columns whose partial dependence is shown
MOST_JUDGED: Final = 50_000  # rows that groups are looked for among
_IMPORTANCE: Final = 0.6  # of the time left
_DEPENDENCE: Final = 0.75  # of the time left after it
_LOADING: Final = 0.005  # seconds for each pipeline
_BYTES: Final = 100e6  # of the folds' pipelines that are loaded in a second, for which
_LOADED: Final = 0.3  # of the importance's time may be used
_PAIRS: Final = 4  # of orders a row, where contributions are sampled
_PILOT: Final = 20  # rows of the trees' contributions that are computed to see how long it takes
_MOST_TREES: Final = 200
_FEWEST_EXPLAINED: Final = 15
_MOST_EXPLAINED: Final = 80
_NO_TIME: Final = "left out: no time was left for it"


@dataclass(frozen=True)
class Findings:
    """Parts of a report that take time; None where one was not looked for.

    Attributes:
        missing: why a part is not there, by its name ("dependence", "contributions", "slices").
    """

    importance: Importance | None = None
    slices: Slices | None = None
    interval: Interval | None = None
    dependence: tuple[Dependence, ...] = ()
    contributions: Contributions | None = None
    missing: dict[str, str] = field(default_factory=dict)


def find(result: FitResult, frame: pd.DataFrame, deadline: float) -> Findings:
    """Everything that fits before `deadline` (monotonic); `frame` is the one that was fitted.

    First what the kept predictions say, which is quick, then importance, contributions of a boosting member,
    partial dependence of the most important columns, and where no member is made of trees, sampled
    contributions of the whole model.
    """
    missing: dict[str, str] = {}
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)  # as the columns are called
    rows, y, prediction = judged_rows(result)
    slices = interval = None
    if not len(rows):
        missing["slices"] = "left out: no rows to look at"
    elif time.monotonic() >= deadline:
        missing["slices"] = _NO_TIME
    else:
        interval = _interval(result, y, prediction, deadline)
        slices = _slices(result, frame, deadline)
        missing.update({} if slices else {"slices": _NO_TIME})
        if slices is not None and not slices.groups:
            slices, missing["slices"] = None, "left out: no group has twenty rows"
    pace = _pace(result, frame.iloc[rows[:PILOT]], deadline)
    importance = explain(result, frame, _share(deadline, _IMPORTANCE) if pace else 0.0, pace)
    contributions = _of_trees(result, frame.iloc[rows], deadline)
    names = [column.name for column in importance.columns if column.mean > 0]
    names = names or list(contributions.columns if contributions else ())
    until = _share(deadline, 1.0 if contributions else _DEPENDENCE)
    dependence = _dependence(result, frame, names[:TOP], until, pace) if pace else ()
    if not dependence:
        missing["dependence"] = _why_none(names, pace, until)
    if not any(column.used for column in result.columns):
        missing["contributions"] = "left out: the model reads no column"
    else:
        contributions = contributions or _sampled(result, frame.iloc[rows], deadline)
        missing.update({} if contributions else {"contributions": _NO_TIME})
    return Findings(importance, slices, interval, dependence, contributions, missing)


def judged_rows(
    result: FitResult,
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.float64]]:
    """(places in the frame, truth, predictions) of the rows held out, else of the validation rows."""
    if result.held is None:
        return result.valid, result.y, result.prediction
    return result.held.rows, result.held.y, result.held.prediction


def judged_weight(result: FitResult) -> NDArray[np.float64] | None:
    """(n,) of the judged rows, None where they count the same."""
    return result.weight if result.held is None else result.held.weight


def explain(
    result: FitResult, frame: pd.DataFrame, deadline: float | None = None, pace: Pace | None = None
) -> Importance:
    """Importances on the rows held out, else on the validation rows, each predicted by what had not seen it
    where that can be had; `frame` is the one that was fitted.
    """
    rows, y, _ = judged_rows(result)
    if not len(rows):
        return Importance((), 0, 0, "left out: no rows to look at")
    end = time.monotonic() + 10.0 if deadline is None else deadline
    weight, cells, folds = judged_weight(result), frame.iloc[rows], result.unseen
    unseen = None if result.held is not None or folds is None else _loaded(folds, result.model, end)
    if unseen is None or folds is None:
        return permutation_importance(result.model, cells, y, result.metric, end, pace=pace, weight=weight)
    found = permutation_importance(unseen, folds.beside(cells), y, result.metric, end, weight=weight)
    return replace(found, unseen=True)


def _loaded(folds: Folds, model: Model, deadline: float) -> Unseen | None:
    """None where that would take too much of the time, or the search's files are gone."""
    try:
        slow = folds.size() / _BYTES > _LOADED * (deadline - time.monotonic())
        return None if slow else folds.load(model)
    except OSError:
        return None


def _pace(result: FitResult, sample: pd.DataFrame, deadline: float) -> Pace | None:
    """Measured; None where loading the members alone might take longer than there is time."""
    from rung.tabular.evaluate import quietly

    members = sum(len(member.pipelines) for member in result.model.members)
    if not len(sample) or time.monotonic() + _LOADING * members >= deadline:
        return None
    with quietly():
        return measure(result.model, sample)


def _why_none(names: list[str], pace: Pace | None, until: float) -> str:
    if pace is None or time.monotonic() >= until:
        return _NO_TIME
    if not names:
        return "left out: it is not known which columns matter"
    return "left out: the time left was too short for it, or all columns that matter are dates or texts"


def _share(deadline: float, share: float) -> float:
    now = time.monotonic()
    return now + share * max(deadline - now, 0.0) if deadline > now else deadline


def _interval(
    result: FitResult, y: NDArray[Any], prediction: NDArray[np.float64], deadline: float
) -> Interval | None:
    """Of the score that the page shows in large; fewer resamples where one takes long."""
    seen = result.model.weighed(prediction, result.metric)
    result.metric.score(y, seen)  # a first call may load what it needs
    began = time.monotonic()
    result.metric.score(y, seen)
    each = max(time.monotonic() - began, 1e-6)
    affordable = int(0.1 * (deadline - time.monotonic()) / (3 * each))
    if affordable < 40:
        return None
    weight = judged_weight(result)
    return bootstrap(result.metric, y, seen, resamples=min(200, affordable), weight=weight)


def _slices(result: FitResult, frame: pd.DataFrame, deadline: float) -> Slices | None:
    rows, y, prediction = judged_rows(result)
    chosen = np.arange(len(rows))
    most = int(np.clip(2e6 * (deadline - time.monotonic()) / max(1, len(result.columns)), 200, MOST_JUDGED))
    if len(rows) > most:
        chosen = np.sort(np.random.default_rng(83).permutation(len(rows))[:most])
    cells = prepare(frame.iloc[rows[chosen]], result.columns)
    if time.monotonic() >= deadline:
        return None
    said = result.model.codes(prediction[chosen]) if result.task.is_classification else prediction[chosen]
    weight = judged_weight(result)
    return find_slices(
        cells,
        result.columns,
        y[chosen],
        said,
        classes=result.task.is_classification,
        weight=None if weight is None else weight[chosen],
    )


def _dependence(
    result: FitResult, frame: pd.DataFrame, names: list[str], deadline: float, pace: Pace
) -> tuple[Dependence, ...]:
    weight = _row_weights(result, frame)
    return tuple(partial_dependence(result.model, frame, names, deadline, pace=pace, weight=weight))


def _row_weights(result: FitResult, frame: pd.DataFrame) -> NDArray[np.float64] | None:
    """Of all rows, those that were left out for want of a target too: 0 where there is none."""
    import pandas as pd

    column = result.model.notes.get("weights")
    if column is None:
        return None
    numbers = pd.to_numeric(frame[column], errors="coerce").fillna(0.0)
    return np.asarray(numbers.to_numpy(dtype=np.float64))


def _of_trees(result: FitResult, frame: pd.DataFrame, deadline: float) -> Contributions | None:
    """On as many rows as half of the time left allows, by the time that twenty take."""
    began = time.monotonic()
    if began >= deadline - 0.1:
        return None
    pilot = tree_contributions(result.model, frame, most=_PILOT, seconds=deadline - began)
    took = time.monotonic() - began
    rows = int(_PILOT * 0.5 * (deadline - time.monotonic()) / max(took, 1e-3))
    if pilot is None or rows <= _PILOT:
        return pilot
    most, left = min(rows, _MOST_TREES), deadline - time.monotonic()
    return tree_contributions(result.model, frame, most=most, seconds=left)


def _sampled(result: FitResult, frame: pd.DataFrame, deadline: float) -> Contributions | None:
    """Shapley values of the whole model for some rows; None where fewer than 15 are done in time."""
    order = np.random.default_rng(89).permutation(len(frame))[:_MOST_EXPLAINED]
    code = None
    if result.task.is_classification:
        code = 1 if len(result.task.classes) == 2 else int(np.bincount(result.y.astype(np.int64)).argmax())
    names = [column.name for column in result.columns if column.used]
    amounts: list[list[float]] = []
    ends: list[tuple[float, float]] = []
    what = ""
    effort = Effort(_PAIRS, exact=False)
    began = time.monotonic()
    for place in order.tolist():
        each = (time.monotonic() - began) / max(1, len(amounts))
        if time.monotonic() + each >= deadline:
            break
        one = explain_row(result.model, frame, place, output=code, effort=effort)
        by_name = {part.column: part.amount for part in one.contributions}
        amounts.append([by_name[name] for name in names])
        ends.append((one.base, one.prediction))
        what = one.what
    if len(amounts) < min(_FEWEST_EXPLAINED, max(len(frame), 1)):
        return None
    return ranked(
        what, names, np.asarray(amounts), np.asarray(ends), frame.iloc[order[: len(amounts)]], result
    )


def ranked(
    what: str,
    names: list[str],
    amounts: NDArray[np.float64],
    ends: NDArray[np.float64],
    rows: pd.DataFrame,
    result: FitResult,
) -> Contributions:
    """Sampled contributions in the shape of the trees'."""
    from rung.tabular.explain.trees import cell_ranks

    order = np.argsort(-np.abs(amounts).mean(axis=0), kind="stable")
    ranks = cell_ranks(prepare(rows, result.columns))
    columns = tuple(names[k] for k in order)
    return Contributions(
        what, columns, amounts[:, order], ranks[:, order], float(ends[:, 0].mean()), ends[:, 1]
    )
