"""A hundred strange tables: 34 oddities, each with a binary, a several-class or a numeric target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

COUNT = 100
TASKS = ("binary", "multiclass", "regression")


class Strange(NamedTuple):
    name: str
    frame: pd.DataFrame
    target: str


Rng = np.random.Generator
Oddity = Callable[[pd.DataFrame, Rng], pd.DataFrame]


def _dates(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    days = pd.Timestamp("1999-12-31") + pd.to_timedelta(rng.integers(0, 9000, len(frame)), "D")
    return frame.assign(iso=days.strftime("%Y-%m-%d"), us=days.strftime("%m/%d/%Y %H:%M"), stamp=days)


WORDS = "the quick brown fox über naïve 日本 jumps over 12 lazy dogs , again ..."


def _texts(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    words = np.array(WORDS.split())  # easier to read
    return frame.assign(text=[" ".join(rng.choice(words, rng.integers(0, 30))) for _ in range(len(frame))])


def _booleans(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(
        yes=rng.choice(["yes", "no", "Yes", "NO", ""], len(frame)),
        true=rng.random(len(frame)) > 0.5,
        on=rng.choice(["True", "False"], len(frame)),
    )


def _mixed(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    cells: list[Any] = [1, 2.5, "three", None, True, -7, "8", b"bytes"]
    return frame.assign(mixed=[cells[i] for i in rng.integers(0, len(cells), len(frame))])


def _duplicates(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.iloc[rng.integers(0, max(2, len(frame) // 5), len(frame))].reset_index(drop=True)


def _few(rows: int) -> Oddity:
    return lambda frame, rng: frame.iloc[:rows].reset_index(drop=True)


def _wide(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    more = pd.DataFrame(rng.normal(size=(len(frame), 2000)), columns=[f"w{j}" for j in range(2000)])
    return pd.concat([frame, more], axis=1)


def _levels(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(
        level=[f"level {i}" for i in rng.integers(0, 1000, len(frame))],
        skewed=[f"s{int(i)}" for i in rng.zipf(1.5, len(frame))],
    )


def _infinities(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    column = rng.normal(size=len(frame))
    column[::5], column[1::5], column[2::7] = np.inf, -np.inf, np.nan
    return frame.assign(inf=column, largest=np.finfo(float).max, tiny=rng.random(len(frame)) * 1e-310)


def _empty(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(nothing=np.nan, none=None, blank="", constant=7, almost=[1] + [0] * (len(frame) - 1))


def _names(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    odd = [" a b", "größe", "x[0]", 'q"uote', "{json: 1}", "new\nline", "日本", "", "a,b", "target?", "0"]
    more = {name: rng.normal(size=len(frame)) for name in odd}
    return frame.assign(**more)


def _indices(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    n = len(frame)
    return frame.assign(
        id=np.arange(n), key=[f"k-{i:08d}" for i in rng.permutation(n)], back=np.arange(n)[::-1]
    )


def _zeros(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(zip=[f"{i:05d}" for i in rng.integers(0, 999, len(frame))])


def _missing(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    gone = rng.random(frame.shape) < 0.6
    gone[:, -1] = False  # the target stands last
    return frame.mask(gone)


def _nullable(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    whole = pd.array(rng.integers(0, 9, len(frame)), dtype="Int64")
    whole[::4] = pd.NA
    return frame.assign(
        whole=whole,
        real=pd.array(rng.random(len(frame)), dtype="Float64"),
        flag=pd.array(rng.random(len(frame)) > 0.5, dtype="boolean"),
        word=pd.array(rng.choice(["a", "b"], len(frame)), dtype="string"),
        kind=pd.Categorical(rng.choice(["u", "v", "w"], len(frame)), categories=["u", "v", "w", "never"]),
    )


def _nested(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(many=[[1, 2], {"a": 1}, (3,), None][:1] * len(frame))


def _durations(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(
        took=pd.to_timedelta(rng.integers(0, 9999, len(frame)), "s"),
        zoned=pd.date_range("2020", periods=len(frame), freq="h", tz="Europe/Berlin"),
        month=pd.period_range("2000-01", periods=len(frame), freq="M"),
    )


def _copies(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(b1=frame["a"], b2=frame["a"], leak=frame["y"])


def _one_column(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame[["a", "y"]]


def _words_only(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame[["c", "y"]].assign(d=rng.choice(list("xyz"), len(frame)))


def _huge_numbers(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(big=rng.normal(size=len(frame)) * 1e200, small=rng.normal(size=len(frame)) * 1e-200)


def _huge_target(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(y=pd.factorize(frame["y"])[0] * 1e250 + 1e249)


def _tiny_target(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(y=pd.factorize(frame["y"])[0] * 1e-250)


def _skewed_target(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(y=np.exp(rng.normal(size=len(frame)) * 4))


def _many_classes(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(y=[f"class {i % 40}" for i in range(len(frame))])


def _rare_class(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    y = frame["y"].astype(object).copy()
    y.iloc[0] = "only once" if isinstance(y.iloc[1], str) else y.iloc[0]
    return frame.assign(y=y)


def _two_of_a_class(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    y = np.array(["common"] * len(frame), dtype=object)
    y[:2] = "twice"
    return frame.assign(y=y)


def _constant_target(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(y=3)


def _missing_target(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.assign(y=frame["y"].where(rng.random(len(frame)) > 0.5))


def _useless(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame[["y"]].assign(nothing=np.nan, one=1)


def _sparse(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    counts = rng.poisson(0.02, size=(len(frame), 300))
    return pd.concat([frame, pd.DataFrame(counts, columns=[f"n{j}" for j in range(300)])], axis=1)


def _numeric_names(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    return frame.rename(columns={"a": 0, "b": 1})


ODDITIES: dict[str, Oddity] = {
    "dates": _dates,
    "texts": _texts,
    "booleans as words": _booleans,
    "mixed types": _mixed,
    "duplicated rows": _duplicates,
    "one row of a class": _rare_class,
    "two rows of a class": _two_of_a_class,
    "three rows": _few(3),
    "two rows": _few(2),
    "twelve rows": _few(12),
    "2,000 columns": _wide,
    "1,000 levels": _levels,
    "infinities": _infinities,
    "empty columns": _empty,
    "odd names": _names,
    "index columns": _indices,
    "leading zeros": _zeros,
    "mostly missing": _missing,
    "nullable types": _nullable,
    "lists in cells": _nested,
    "durations and zones": _durations,
    "copies and a leak": _copies,
    "one column": _one_column,
    "words only": _words_only,
    "huge numbers": _huge_numbers,
    "huge target": _huge_target,
    "tiny target": _tiny_target,
    "skewed target": _skewed_target,
    "forty classes": _many_classes,
    "constant target": _constant_target,
    "missing target": _missing_target,
    "nothing to learn from": _useless,
    "sparse counts": _sparse,
    "numbers as names": _numeric_names,
}


def strange_table(number: int) -> Strange:
    """The table of this number, 0 to 99: always the same."""
    name = list(ODDITIES)[number % len(ODDITIES)]
    task = TASKS[number // len(ODDITIES) % len(TASKS)]
    rng = np.random.default_rng([number, 9])
    n = 90 + 30 * (number % 4)
    frame = pd.DataFrame(
        {"a": rng.normal(size=n), "b": rng.integers(0, 50, n), "c": rng.choice(["red", "green", "blue"], n)}
    )
    signal = frame["a"] + (frame["c"] == "red") + rng.normal(size=n) * 0.3
    if task == "binary":
        frame["y"] = np.where(signal > 0.3, "yes", "no")
    elif task == "multiclass":
        frame["y"] = pd.qcut(signal, 4, labels=["q1", "q2", "q3", "q4"]).astype(str)
    else:
        frame["y"] = signal
    return Strange(f"{name}, {task}", ODDITIES[name](frame, rng), "y")
