"""Runs what is missing of an experiment: each search once, rows as they come, several at the same time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from benchmarks.entries import Unavailable
from benchmarks.experiments import Plan
from benchmarks.experiments.rows import Row, append, key, read, row_of
from benchmarks.problems import problem
from benchmarks.systems import Setting, system
from benchmarks.systems.trace import Trace

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
Search = tuple[str, str, Setting]


class Done(NamedTuple):
    """What came of a run: rows written, rows that were there already, and reasons with how often each."""

    written: int
    there: int
    skipped: dict[str, int]


def search(name: str, on: str, setting: Setting) -> Row | str:
    """One search's row, or why it can't be had."""
    began = time.perf_counter()
    try:
        searched = problem(on)
        trace = Trace(searched)
        system(name).run(searched, setting, trace)
    except Unavailable as error:
        return str(error)
    return row_of(name, on, searched, setting, trace, time.perf_counter() - began)


def run(plans: Iterable[Plan], path: Path, jobs: int, say: Callable[[str], None]) -> Done:
    """Run the searches that have no row in the file yet; each row is written when it is there."""
    there = {row.key for row in read(path)}
    skipped: dict[str, int] = {}
    todo = []
    found = 0
    for plan in plans:
        for one in plan.runs():
            known = _key(one)
            if isinstance(known, str):
                skipped[known] = skipped.get(known, 0) + 1
            elif known in there:
                found += 1
            else:
                there.add(known)
                todo.append(one)
    written, began = 0, time.perf_counter()
    for number, (one, row) in enumerate(_all(todo, jobs), 1):
        if isinstance(row, str):
            skipped[row] = skipped.get(row, 0) + 1
            continue
        append(path, [row])
        written += 1
        left = (time.perf_counter() - began) / number * (len(todo) - number)
        say(f"{number}/{len(todo)} {_told(one)}: {_value(row)}; about {left / 60:.1f} minutes left")
    return Done(written, found, skipped)


def _key(one: Search) -> tuple[object, ...] | str:
    """The key of a search's row, or why there can be none."""
    name, on, setting = one
    system(name)  # a name that is wrong is an error at once
    try:
        return key(name, on, setting, problem(on).largest)
    except Unavailable as error:
        return str(error)


def _all(todo: Sequence[Search], jobs: int) -> Iterator[tuple[Search, Row | str]]:
    if jobs == 1:
        with threadpool_limits(1):  # as those of several jobs: deciding is measured in one thread
            for one in todo:
                yield one, search(*one)
        return
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(search, *one): one for one in todo}
        try:
            for done in as_completed(running):
                yield running.pop(done), done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _told(one: Search) -> str:
    name, on, setting = one
    return f"{on} | {name} | {setting.workers} workers | seed {setting.seed}"


def _value(row: Row) -> str:
    if row.true is None:
        return "no incumbent"
    return f"regret {row.true - row.optimum:.3g}, {row.evaluations} results, decided {row.deciding:.2f} s"
