"""Preprocessing, fitted on a fold's training rows only: impute, scale, encode categories, condense texts.

What a learner needs is a `Needs` value; how it is done is part of the configuration (`impute`, `scale`,
`categories`), where the learner leaves a choice.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.encode import Table
from rung.tabular.scaling import SmoothScaler as SmoothScaler
from rung.tabular.scaling import make_scaler
from rung.tabular.target_encoding import Target as Target
from rung.tabular.target_encoding import target_encoder, target_folds

ONE_HOT_LEVELS = (30, 100)  # levels of a category that get a column of their own: always, and with many rows
ONE_HOT_WIDTH = 1_000  # columns that all categories together may become
_ROWS_A_LEVEL = 15  # of a level beyond the first 30, on average
_MOST_CELLS = 2e7  # of all such columns beyond which only the first 30 levels have one
TEXT_COMPONENTS = 50
_MOST_TEXT = 300  # components, where a linear learner or a network tells many classes apart
HASHED = 256  # columns that categories of very many levels are hashed into
SQUARED = 12  # columns whose products are made
MOST_COMPONENTS = 100
_ITERATIVE = (100, 1e6)  # columns and cells beyond which telling each from the others takes seconds a fold


class Needs(NamedTuple):
    """What a learner can read.

    Attributes:
        missing: it reads NaN itself.
        scaled: its numbers want one scale.
        native: it reads the codes of categories as categories (their columns are told to it).
    """

    missing: bool = False
    scaled: bool = False
    native: bool = False


@dataclass
class Preparation:
    """From tables to matrices; fitted once, on a fold's training rows.

    Attributes:
        needs: what the learner can read.
        impute: "mean", "median" or "iterative" (each column from the others; of large tables the median all
            the same), for learners that do not read NaN; whether a cell was missing is kept in a column of
            its own where at least 1 % were.
        scale: "standard", "robust", "smooth" or "quantile", for learners that want one scale.
        categories: "native", "onehot", "ordinal", "target", or "hash" for very many levels.
        expand: "none", "pairs" (see `rung.tabular.expansion`) or "squares" (products of strong columns).
        reduce: "none", "pca" or "select" (the half of the columns that say most of the target).
        categorical: columns of the matrix that hold codes, after fitting.
    """

    needs: Needs
    impute: str = "median"
    scale: str = "standard"
    categories: str = "onehot"
    expand: str = "none"
    reduce: str = "none"
    sizes: list[int] = field(default_factory=list)
    seed: int = 0
    categorical: list[int] = field(default_factory=list)
    flagged: NDArray[np.intp] | None = None
    kept: NDArray[np.intp] | None = None
    parts: dict[str, Any] = field(default_factory=dict)

    def fit_transform(self, table: Table, target: Target) -> NDArray[np.float64]:
        """Fit on these rows, and return their matrix (n, d)."""
        self._fit_numbers(table.numbers)
        coded = self._fit_codes(table.codes, target)
        self._fit_words(table, target.classes)
        made = self._fit_expansion(table, target)
        parts = [self._numbers(table.numbers), made, coded, self._words(table)]
        matrix = self._scaled(np.hstack(parts), fit=True)
        matrix = self._fit_reduction(matrix, target)
        if self.categories == "native":
            start = matrix.shape[1] - coded.shape[1] - self._text_width
            self.categorical = list(range(start, start + coded.shape[1]))
        return matrix

    def transform(self, table: Table) -> NDArray[np.float64]:
        """The matrix of these rows: (n, d)."""
        parts = [
            self._numbers(table.numbers),
            self._expanded(table),
            self._coded(table.codes),
            self._words(table),
        ]
        return self._reduced(self._scaled(np.hstack(parts), fit=False))

    # -- generated columns, and fewer columns -----------------------------------------------------------

    def _fit_expansion(self, table: Table, target: Target) -> NDArray[np.float64]:
        if self.expand != "pairs":
            return np.empty((len(table), 0))
        from rung.tabular.expansion import Expansion

        maker = self.parts["expand"] = Expansion(self.seed)
        made = maker.fit_transform(table, target.y, target.classes)
        usual = np.nanmean(made, axis=0) if len(made) else np.zeros(made.shape[1])
        self.parts["usual"] = np.nan_to_num(usual)
        return self._filled(made)

    def _expanded(self, table: Table) -> NDArray[np.float64]:
        if "expand" not in self.parts:
            return np.empty((len(table), 0))
        return self._filled(self.parts["expand"].transform(table))

    def _filled(self, made: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.needs.missing:
            return made
        return np.asarray(np.where(np.isnan(made), self.parts["usual"], made))

    def _fit_reduction(self, matrix: NDArray[np.float64], target: Target) -> NDArray[np.float64]:
        if self.expand == "squares" and matrix.shape[1]:
            self.parts["squares"] = _selected(matrix, min(matrix.shape[1], SQUARED), target)
        if self.reduce == "none" or matrix.shape[1] < 4:
            return self._reduced(matrix)
        wide = self._reduced(matrix)
        if self.reduce == "pca":
            from sklearn.decomposition import PCA

            components = min(wide.shape[1], len(wide) - 1, MOST_COMPONENTS)
            share = 0.99 if components == wide.shape[1] else components
            self.parts["reduce"] = PCA(share, svd_solver="auto", random_state=self.seed % 2**31).fit(wide)
        else:
            self.parts["reduce"] = _selected(wide, (wide.shape[1] + 1) // 2, target)
        return self._reduced(matrix)

    def _reduced(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        if "squares" in self.parts:
            some = self.parts["squares"].transform(matrix)
            a, b = np.triu_indices(some.shape[1])
            matrix = np.hstack([matrix, some[:, a] * some[:, b]])
        return np.asarray(self.parts["reduce"].transform(matrix)) if "reduce" in self.parts else matrix

    # -- numbers --------------------------------------------------------------------------------------

    def _fit_numbers(self, numbers: NDArray[np.float64]) -> None:
        missing = np.isnan(numbers).mean(axis=0) if len(numbers) else np.zeros(numbers.shape[1])
        varies, gaps = _varies(numbers), (missing >= 0.01) & (missing < 1)
        if self.needs.missing:  # one value that is there or not: other learners have the flag alone
            varies |= gaps
        self.kept = np.flatnonzero(varies & _first_of_its_kind(numbers))
        self.flagged = np.flatnonzero(gaps)
        most, cells = _ITERATIVE
        if self.impute == "iterative" and (len(self.kept) > most or len(self.kept) * len(numbers) > cells):
            self.impute = "median"
        if not self.needs.missing and len(self.kept):
            self.parts["impute"] = _imputer(self.impute, self.seed).fit(numbers[:, self.kept])

    def _numbers(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        chosen = numbers[:, self.kept]
        if self.needs.missing:
            return chosen
        filled = self._imputed(chosen) if chosen.shape[1] else chosen
        flags = np.isnan(numbers[:, self.flagged]).astype(np.float64)
        return np.hstack([filled, flags])

    def _imputed(self, chosen: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each row by its own cells: where no row has any, scikit-learn leaves its last step out, so that one
        that has some is put beside.
        """
        imputer = self.parts["impute"]
        if self.impute == "iterative" and np.isnan(chosen).all():
            return np.asarray(imputer.transform(np.vstack([chosen, np.zeros(chosen.shape[1])]))[:-1])
        return np.asarray(imputer.transform(chosen))

    # -- categories -----------------------------------------------------------------------------------

    def _fit_codes(self, codes: NDArray[np.int32], target: Target) -> NDArray[np.float64]:
        if self.categories == "onehot" and _one_hot_width(self.sizes, ONE_HOT_LEVELS[0]) > ONE_HOT_WIDTH:
            self.categories = "target"
        folds = target_folds(target)
        if self.categories == "target" and (target.classes > 10 or folds < 2 or not codes.shape[1]):
            self.categories = "ordinal"
        if self.categories == "target":
            encoder = self.parts["target"] = target_encoder(target, folds, self.seed)
            with warnings.catch_warnings():  # a class with fewer rows than folds is in some folds only
                warnings.filterwarnings("ignore", "The least populated class", UserWarning)
                coded = np.asarray(encoder.fit_transform(codes, target.y))
            self.parts["tables"] = code_tables(encoder, self._levels(codes))
            return coded
        if self.categories == "hash":
            from sklearn.feature_extraction import FeatureHasher

            self.parts["hash"] = FeatureHasher(HASHED, input_type="string", dtype=np.float64)
        if self.categories == "onehot" and codes.shape[1]:
            from sklearn.preprocessing import OneHotEncoder

            encoder = OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                max_categories=one_hot_levels(self.sizes, len(codes)),
                min_frequency=2 if len(codes) > 20 else None,
                sparse_output=False,
            )
            self.parts["onehot"] = encoder.fit(codes)
            self.parts["tables"] = code_tables(encoder, self._levels(codes))
        return self._coded(codes)

    def _levels(self, codes: NDArray[np.int32]) -> list[int]:
        """How many codes each category has."""
        if len(self.sizes) == codes.shape[1]:
            return self.sizes
        return [int(most) + 1 for most in codes.max(axis=0, initial=-1)]

    def _coded(self, codes: NDArray[np.int32]) -> NDArray[np.float64]:
        if "tables" in self.parts:
            tables = self.parts["tables"]
            known = codes < np.array([len(x) - 1 for x in tables])
            places = np.where(known, codes, -1) + 1
            return np.hstack([x[places[:, j]] for j, x in enumerate(tables)])
        if self.categories == "hash":
            words = [[f"{j}={code}" for j, code in enumerate(row)] for row in codes.tolist()]
            return np.asarray(self.parts["hash"].transform(words).toarray())
        coded = codes.astype(np.float64)
        if self.needs.missing:
            coded[codes < 0] = np.nan
        return coded

    # -- texts ----------------------------------------------------------------------------------------

    @property
    def _text_width(self) -> int:
        return int(self.parts["words"][-1].n_components) if "words" in self.parts else 0

    def _fit_words(self, table: Table, classes: int) -> None:
        if table.words is None or len(table) < 3:
            return
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.pipeline import make_pipeline

        wanted = min(2 * classes, _MOST_TEXT) if self.needs.scaled else 0
        components = min(max(wanted, TEXT_COMPONENTS), table.words.shape[1] - 1, len(table) - 1)
        condense = TruncatedSVD(components, random_state=self.seed % 2**31)
        self.parts["words"] = make_pipeline(TfidfTransformer(sublinear_tf=True), condense).fit(table.words)

    def _words(self, table: Table) -> NDArray[np.float64]:
        if "words" not in self.parts:
            return np.empty((len(table), 0))
        return np.asarray(self.parts["words"].transform(table.words))

    # -- scale ----------------------------------------------------------------------------------------

    def _scaled(self, matrix: NDArray[np.float64], *, fit: bool) -> NDArray[np.float64]:
        if not self.needs.scaled or not matrix.shape[1]:
            return matrix
        if fit:
            self.parts["scale"] = make_scaler(self.scale, len(matrix), self.seed).fit(matrix)
        return np.asarray(np.clip(self.parts["scale"].transform(matrix), -20.0, 20.0))


def one_hot_levels(sizes: list[int], rows: int) -> int:
    """How many levels of each category get a column: a postcode's sixty, if there are rows to learn from."""
    few, many = ONE_HOT_LEVELS
    levels = min(many, max(few, rows // _ROWS_A_LEVEL))
    width = _one_hot_width(sizes, levels)
    return levels if width <= ONE_HOT_WIDTH and rows * width <= _MOST_CELLS else few


def made_columns(preparation: Preparation, rows: int, classes: int) -> int:
    """How many columns at most categories and products will be in the matrix of so many rows."""
    sizes, way = preparation.sizes, preparation.categories
    products = SQUARED * (SQUARED + 1) // 2 if preparation.expand == "squares" else 0
    if way == "hash" and sizes:
        return HASHED + products
    if way == "onehot" and _one_hot_width(sizes, ONE_HOT_LEVELS[0]) <= ONE_HOT_WIDTH:
        return _one_hot_width(sizes, one_hot_levels(sizes, rows)) + products
    by_target = way in ("onehot", "target") and 2 < classes <= 10
    return len(sizes) * (classes if by_target else 1) + products


def _one_hot_width(sizes: list[int], levels: int) -> int:
    return sum(min(size, levels) for size in sizes)


def code_tables(encoder: Any, sizes: list[int]) -> list[NDArray[np.float64]]:
    """What a fitted encoder makes of every code from -1 up, for each category: (levels + 1, columns).

    Looking up is a hundred times faster than asking scikit-learn, which checks its input each time.
    """
    most = max(sizes, default=0)
    codes = np.minimum(np.arange(-1, most)[:, None], np.array(sizes) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of codes that this fold has not seen
        coded = np.asarray(encoder.transform(codes), dtype=np.float64)
    names = encoder.get_feature_names_out([f"{j}" for j in range(len(sizes))])
    owner = np.array([int(str(name).partition("_")[0]) for name in names], dtype=np.intp)
    return [coded[: size + 1, owner == j] for j, size in enumerate(sizes)]


def make_preparation(needs: Needs, config: Mapping[str, Any], sizes: list[int], seed: int) -> Preparation:
    """The preparation that a configuration asks for, still to be fitted."""
    native = "native" if needs.native else "onehot"
    return Preparation(
        needs,
        impute=config.get("impute", "median"),
        scale=config.get("scale", "standard"),
        categories=config.get("categories", native),
        expand=config.get("expand", "none"),
        reduce=config.get("reduce", "none"),
        sizes=sizes,
        seed=seed,
    )


def _selected(matrix: NDArray[np.float64], columns: int, target: Target) -> Any:
    """A selection of the columns that differ most between classes, or correlate most with values."""
    from sklearn.feature_selection import SelectKBest, f_classif, f_regression

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of constant columns, which are not selected
        return SelectKBest(f_classif if target.classes else f_regression, k=columns).fit(matrix, target.y)


def _imputer(way: str, seed: int) -> Any:
    from sklearn.impute import SimpleImputer

    if way != "iterative":
        return SimpleImputer(strategy=way)
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # unlocks the next line
    from sklearn.impute import IterativeImputer

    return IterativeImputer(max_iter=4, n_nearest_features=10, random_state=seed % 2**31)


def _first_of_its_kind(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which columns are no copy of an earlier one: (a,)."""
    seen: set[bytes] = set()
    first = np.zeros(numbers.shape[1], dtype=bool)
    for j in range(numbers.shape[1]):
        mark = hashlib.blake2b(np.ascontiguousarray(numbers[:, j]).tobytes(), digest_size=16).digest()
        first[j] = mark not in seen
        seen.add(mark)
    return first


def _varies(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which columns have at least two different values (missing not being one): (a,)."""
    if not len(numbers):
        return np.zeros(numbers.shape[1], dtype=bool)
    low = np.fmin.reduce(numbers, axis=0)
    return np.asarray(low < np.fmax.reduce(numbers, axis=0))
