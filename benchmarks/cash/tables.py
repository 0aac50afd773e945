"""The tables: 39 of the data folder, four of scikit-learn, six by formula; fixed here, whatever is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from benchmarks.cash.synthetic import MADE
from benchmarks.entries import pick
from benchmarks.given import given

if TYPE_CHECKING:
    import pandas as pd

MOST: Final = 50_000  # rows of a table; more are sampled down to these
TEST: Final = 0.3  # share of the rows that is predicted
_RAREST: Final = 3  # rows of a class; rarer ones are left out, they cannot be on both sides

# name, task, target; of the folder that RUNG_DATA names, its file tabular/<name>.csv.gz
_GIVEN: Final = """
credit_g binary class
vehicle multiclass Class
segment multiclass class
car multiclass class
letter multiclass class
optdigits multiclass class
spambase binary class
sick binary Class
splice multiclass Class
soybean multiclass class
vowel multiclass Class
page_blocks multiclass class
kr_vs_kp binary class
cmc multiclass Contraceptive_method_used
anneal multiclass class
arrhythmia multiclass class
waveform5000 multiclass class
dermatology multiclass class
autos multiclass symboling
housing regression class
cal_housing regression medianHouseValue
abalone regression Class_Rings
cpu_act regression usr
kin8nm regression y
house8L regression price
autompg regression class
servo regression class
stock regression company10
concrete regression y
airfoil regression y
bike regression y
protein regression y
phoneme binary target
adult binary income
wine_red regression quality
titanic binary survived
diamonds regression price
churn binary Exited
sacramento regression price
"""


class Table(NamedTuple):
    """One table; `load` raises `Unavailable` where its file is not there."""

    name: str
    task: str
    target: str
    source: str
    load: Callable[[], pd.DataFrame]


class Parts(NamedTuple):
    """A table split in two: `test` has no target, `y` is what is true there."""

    train: pd.DataFrame
    test: pd.DataFrame
    y: pd.Series


def _read(name: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        import pandas as pd

        return pd.read_csv(given(f"tabular/{name}.csv.gz"), low_memory=False)

    return load


def _shipped(name: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        from sklearn import datasets

        frame: Any = getattr(datasets, f"load_{name}")(as_frame=True).frame
        return frame

    return load


def _all() -> dict[str, Table]:
    found = []
    for line in _GIVEN.split("\n")[1:-1]:
        name, task, target = line.split()
        found.append(Table(name, task, target, "given", _read(name)))
    shipped = {
        "breast_cancer": "binary",
        "diabetes": "regression",
        "wine": "multiclass",
        "digits": "multiclass",
    }
    found += [Table(name, task, "target", "scikit-learn", _shipped(name)) for name, task in shipped.items()]
    found += [Table(name, task, "y", "formula", load) for name, (task, load) in MADE.items()]
    return {table.name: table for table in found}


TABLES: Final = _all()


def chosen(names: Sequence[str]) -> list[Table]:
    """The tables of these names; all of them if none is named.

    Raises:
        ValueError: there is none of a name.
    """
    return [pick(TABLES, name, "table") for name in names] or list(TABLES.values())


def split(table: Table, number: int) -> Parts:
    """The same two parts of 70 and 30 % for everybody, stratified by class; `number` is the seed.

    Raises:
        Unavailable: the table's file is not there.
    """
    from sklearn.model_selection import train_test_split

    frame = labelled(table, table.load())
    if len(frame) > MOST:
        frame = frame.sample(MOST, random_state=0)
    frame = frame.reset_index(drop=True)
    strata = None if table.task == "regression" else frame[table.target]
    train, test = train_test_split(
        np.arange(len(frame)), test_size=TEST, random_state=number, stratify=strata
    )
    later = frame.iloc[np.sort(test)].reset_index(drop=True)
    return Parts(
        frame.iloc[train].reset_index(drop=True), later.drop(columns=table.target), later[table.target]
    )


def labelled(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with a target; labels that are numbers become words, so that no system takes them for values."""
    frame = frame[frame[table.target].notna()]
    if table.task == "regression":
        return frame
    words = frame[table.target].map(lambda label: label if isinstance(label, str) else f"c{label:g}")
    counts = words.value_counts()
    kept = words.map(counts) >= _RAREST
    return frame.assign(**{table.target: words})[kept]


def write(parts: Parts, target: str, folder: Path) -> None:
    """`train.csv` and `test.csv` below `folder`."""
    parts.train.to_csv(folder / "train.csv", index=False)
    parts.test.to_csv(folder / "test.csv", index=False)
    assert target not in parts.test.columns
