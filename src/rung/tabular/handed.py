"""What scikit-learn's users hand to `fit` and `predict`, made one frame, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_regressor
from sklearn.utils import check_array
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _check_feature_names, _check_n_features, column_or_1d

from rung.tabular.frames import as_numbers, as_pandas, with_columns

if TYPE_CHECKING:
    import pandas as pd

_BYTES = "y holds bytes, which are no labels: make them words by y.astype(str)"
_GAPS = "y contains NaN or infinity: leave such rows out"
_DENSE = 0.25  # of the free memory a sparse matrix may take as an array


class Beside(NamedTuple):
    """What comes with the rows of a fit: (n,) each, or None."""

    weight: Any
    groups: Any


class Whole(NamedTuple):
    """One frame of all that a fit is given, and what its further columns are called."""

    frame: pd.DataFrame
    target: str
    weights: str | None
    groups: str | None


def whole(frame: pd.DataFrame, target: tuple[str | None, NDArray[Any]], beside: Beside) -> Whole:
    """The frame with target, weights and groups as columns of names that none of its own has.

    Args:
        frame: (n, d).
        target: its name, None if it has none, and its values.

    Raises:
        ValueError: they are not as many as the rows, or the weights cannot be used.
    """
    given, y = target
    if len(frame) != len(y):
        raise ValueError(f"X has {len(frame)} rows and y has {len(y)}: they must be as many")
    taken = {str(name) for name in frame.columns}
    name = given if given and given not in taken else _free("target of the fit", taken)
    added: dict[str, NDArray[Any]] = {name: y}
    weights = groups = None
    if beside.weight is not None:
        weights = _free("weight of the fit", {*taken, *added})
        added[weights] = _weights(beside.weight, len(y))
    if beside.groups is not None:
        groups = _free("group of the fit", {*taken, *added})
        added[groups] = _sized(beside.groups, "groups", len(y))
    return Whole(with_columns(frame, added), name, weights, groups)


def refuse_left_out(labels: NDArray[Any], weight: Any) -> None:
    """Refuse weights that leave a class out, so that there would be nothing to learn of it.

    Args:
        weight: (n,), or None.

    Raises:
        ValueError: names the class.
    """
    if weight is None:
        return
    counted = _weights(weight, len(labels)) > 0
    for label in np.unique(labels):
        if not counted[labels == label].any():
            raise ValueError(f"sample_weight gives every row of class {label!s} the weight 0: leave them out")


def _free(name: str, taken: set[str]) -> str:
    """The name, or one like it that no column has."""
    while name in taken:
        name += "'"
    return name


def _weights(given: Any, rows: int) -> NDArray[Any]:
    array = np.asarray(given)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"Invalid sample_weight: numbers are needed, and not {array.dtype}.")
    array = _sized(array, "sample_weight", rows)
    if not (np.isfinite(array).all() and (array >= 0).all() and array.any()):
        raise ValueError("Invalid sample_weight: numbers from 0 up are needed, not all of them zero.")
    return array


def _sized(given: Any, what: str, rows: int) -> NDArray[Any]:
    array = np.asarray(given)
    if array.shape != (rows,):
        raise ValueError(f"{what}.shape == {array.shape}, expected {(rows,)}!")
    return array


def checked_words(estimator: Any) -> None:
    """Refuse parameters of a wrong type, which would fail far from here.

    Raises:
        ValueError: one of them, in one sentence.
    """
    workers, kinds, limit = estimator.workers, estimator.kinds, estimator.predict_time
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, Integral)):
        raise ValueError(f"workers is a number of processes, and not {workers!r}; leave it out for all cores")
    if kinds is not None and not isinstance(kinds, Mapping):
        raise ValueError(f"kinds is a dictionary such as {{'zip': 'category'}}, and not {kinds!r}")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, Real) or not float(limit) > 0):
        raise ValueError(
            f"predict_time is seconds as a number above 0, 0.001 for a millisecond, and not {limit!r}"
        )


def learner_names(given: Any, what: str) -> tuple[str, ...]:
    """Names of learners; a word is one name, and not a sequence of letters.

    Raises:
        ValueError: they are no names.
    """
    if isinstance(given, str):
        return (given,)
    try:
        found = tuple(given or ())
    except TypeError:
        found = (given,)
    if not all(isinstance(name, str) for name in found):
        raise ValueError(f"{what} is a list of learners' names, such as ['linear'], and not {given!r}")
    return found


def target_name(y: Any) -> str | None:
    """What a series, or a frame of one column, calls its values."""
    columns = getattr(y, "columns", None)
    name = columns[0] if columns is not None and len(columns) == 1 else getattr(y, "name", None)
    return str(name) if isinstance(name, str) and name else None


def target_values(estimator: Any, y: Any) -> NDArray[Any]:
    """The target as an array: (n,), of the type that it was given in; a classifier's objects as numbers or
    truth values where they are such.

    Raises:
        ValueError: it is not there, not of one dimension, has gaps, or, for a classifier, values of several
            types or such as are no labels.
    """
    import pandas as pd

    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    if hasattr(y, "collect") and not hasattr(y, "shape"):
        raise ValueError(
            f"y is a {type(y).__name__}, whose values are not known yet: call its collect() first"
        )
    _refuse_several(estimator, y)
    y = column_or_1d(_plain(y), warn=True)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(_GAPS)
    if y.dtype.kind in "OMm" and pd.isna(y).any():
        raise ValueError("y contains NaN or other missing values: leave such rows out")
    if y.dtype == object:
        return y if is_regressor(estimator) else _labels(y)
    try:
        type_of_target(y, input_name="y", raise_unknown=True)
    except TypeError:  # they cannot be put in order
        raise ValueError(_BYTES) from None
    return np.asarray(y)


def _labels(y: NDArray[Any]) -> NDArray[Any]:
    """Objects as words, numbers or truth values: (n,).

    Raises:
        ValueError: they are of several types, or of none of these.
    """
    import pandas as pd

    found, kind = as_numbers(pd.Series(y, dtype=object)), pd.api.types.infer_dtype(y)
    if found is not None:
        if np.isinf(found.to_numpy(dtype=np.float64, na_value=np.nan)).any():
            raise ValueError("y contains infinity, which is no label: leave such rows out")
        return np.asarray(found)
    if kind in ("boolean", "string"):
        return y.astype(bool) if kind == "boolean" else y
    if kind == "bytes":
        raise ValueError(_BYTES)
    kinds = sorted({type(value).__name__ for value in y})
    if len(kinds) > 1:
        raise ValueError(f"y mixes values of {' and '.join(kinds)}: make them of one type, such as str")
    raise ValueError(f"y holds values of {kinds[0]}, which are no labels: make them words by y.astype(str)")


def _refuse_several(estimator: Any, y: Any) -> None:
    """scikit-learn's own sentence, and what to do about it."""
    shape: tuple[int, ...] = getattr(y, "shape", ())
    if len(shape) == 2 and shape[1] > 1:
        kind = "Classifier" if type(estimator).__name__.endswith("Classifier") else "Regressor"
        raise ValueError(
            f"y should be a 1d array, got an array of shape {shape} instead: several targets need a model "
            f"each, by sklearn.multioutput.MultiOutput{kind}({type(estimator).__name__}(...)), or rung fit "
            "--target a,b"
        )


def _plain(y: Any) -> Any:
    """Whole and truth values of pandas' own types as NumPy's: scikit-learn would make floats of them."""
    import pandas as pd

    if not isinstance(y, pd.Series) or not isinstance(y.dtype, pd.api.extensions.ExtensionDtype) or y.hasnans:
        return y
    plain = getattr(y.dtype, "numpy_dtype", None)
    return y.astype(plain) if isinstance(plain, np.dtype) and plain.kind in "biu" else y


def class_labels(y: NDArray[Any]) -> NDArray[Any]:
    """The classes in order: at least two.

    Raises:
        ValueError: there is one only.
    """
    found: NDArray[Any] = np.unique(y)
    if len(found) < 2:
        raise ValueError(
            f"y has one class only, {found.tolist()[0]!r}: a classifier needs at least two classes"
        )
    return found


def numbers(y: NDArray[Any]) -> NDArray[np.float64]:
    """The values that a regressor learns: (n,).

    Raises:
        ValueError: they are dates, words, complex or infinite.
    """
    if y.dtype.kind in "Mmc":
        kind = {"M": "dates", "m": "lengths of time", "c": "complex numbers"}[y.dtype.kind]
        raise ValueError(
            f"y holds {kind}, and a regressor learns numbers: make numbers of them first, as of days"
        )
    try:
        found = np.asarray(y, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        word = next(value for value in y.tolist() if not _is_number(value))
        raise ValueError(
            f"y holds {word!r}, which is no number: a regressor needs numbers, AutoClassifier takes words"
        ) from None
    if not np.isfinite(found).all():
        raise ValueError(_GAPS)
    return found


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _dense(X: Any) -> Any:
    """SciPy's sparse matrices as arrays, for that is what learners are given; all else as it is."""
    from scipy import sparse

    from rung.tabular.room import free_bytes

    if not sparse.issparse(X):
        return X
    matrix: Any = X
    rows, width = matrix.shape
    size = 8 * rows * width
    if size > _DENSE * free_bytes():
        raise ValueError(
            f"a sparse X of {rows:,} rows and {width:,} columns would take {size / 1e9:.1f} GB as "
            "an array, which is what learners read: choose or combine columns before, as with TruncatedSVD"
        )
    return matrix.toarray()


def frame_of(estimator: Any, X: Any, *, reset: bool) -> pd.DataFrame:
    """X as pandas' frame, checked as scikit-learn checks it; columns without names are called x0, x1, ...

    Where only the rows of the fit or only these have names, scikit-learn warns and goes by position: then the
    columns are called as in the fit. Names of several levels are joined: "height / left".

    Raises:
        ValueError, DataError: X is no table, is empty, has two columns of one name, or other columns than in
            the fit.
    """
    import pandas as pd
    from scipy.sparse import issparse

    from rung.tabular.request import distinct

    worded = isinstance(X, Mapping) and not issparse(X)  # SciPy's dictionary of keys is a mapping, too
    if hasattr(X, "to_pandas") or hasattr(X, "collect") or worded:
        X = as_pandas(X)  # a frame of polars, a pyarrow.Table; or what cannot be used
    if isinstance(X, pd.DataFrame) and isinstance(X.columns, pd.MultiIndex):
        X = X.set_axis(_joined(X.columns.tolist()), axis=1)
    if isinstance(X, pd.DataFrame):
        distinct([str(name) for name in X.columns])
    _check_feature_names(estimator, X, reset=reset)
    if isinstance(X, pd.DataFrame):
        if 0 in X.shape:
            raise ValueError(
                f"Found a frame with {X.shape[0]} rows and {X.shape[1]} columns: give one of each at least"
            )
        odd = [str(name) for name, kind in X.dtypes.items() if getattr(kind, "kind", "") == "c"]
        if odd:
            raise ValueError(
                f"Complex data not supported: column {odd[0]!r}; give its real and imaginary part, or size "
                "and angle, a column each"
            )
        frame = X.reset_index(drop=True)
    else:
        X = _dense(X)
        array = check_array(X, dtype=None, ensure_all_finite="allow-nan", ensure_min_features=1)
        frame = pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])
    _check_n_features(estimator, frame, reset=reset)
    if reset:
        estimator._columns = frame.columns
    return frame.set_axis(estimator._columns, axis=1)


def _joined(names: Sequence[tuple[Any, ...]]) -> list[str]:
    return [" / ".join(str(part) for part in name if str(part)) for name in names]
