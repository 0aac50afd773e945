"""Strategies beside each other: the same seeds, searched, derived and retrained alike, with paired tests."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rung.errors import UserError
from rung.nas.result import SearchResult
from rung.nas.space import form_of

if TYPE_CHECKING:
    from rung.nas.planning import Request

_UNTOLD: Final = {"content": "on other data of this name", "cells": "in another space of this name"}
BASELINE: Final = "random"  # what every claim must beat, where it is among the strategies


@dataclass(frozen=True)
class Row:
    """One search of a comparison.

    Attributes:
        strategy, seed: which.
        retrained: error (or, of text, loss in nats) of the derived network after its training from scratch.
        searched, derived: of the supernet, and of the derived network with its weights.
        parameters: of the network that was retrained.
        seconds, passes, images, multiply_adds: cost of the search.
        gap_outputs: the relaxation gap, see `rung.nas.result.Gap`.
        genotype: in its JSON form.
        options: what it was searched with, but for strategy and seed: by name.
    """

    strategy: str
    seed: int
    retrained: float | None
    searched: float | None
    derived: float | None
    parameters: int
    seconds: float
    passes: int
    images: int
    multiply_adds: float
    gap_outputs: float | None
    genotype: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For a line of JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(form: Mapping[str, Any]) -> Row:
        """The inverse; what is not a row's is left out. Rows of old have no options."""
        return Row(**{"options": {}, **{f.name: form[f.name] for f in fields(Row) if f.name in form}})

    @staticmethod
    def of(result: SearchResult, options: Mapping[str, Any] | None = None) -> Row:
        """Of a search with these options."""
        words = bool(result.perplexity)
        given: Mapping[str, float | None] = result.perplexity if words else asdict(result.accuracy)
        values = {
            name: None if v is None else (math.log(v) if words else 1.0 - v) for name, v in given.items()
        }
        cost = result.cost
        return Row(
            result.strategy,
            result.seed,
            values["retrained"],
            values["searched"],
            values["derived"],
            result.parameters,
            cost["seconds"],
            cost["passes"],
            cost["images"],
            cost["multiply_adds"],
            result.relaxation_gap.outputs,
            result.genotype.to_dict(),
            dict(options or {}),
        )


@dataclass(frozen=True)
class Line:
    """A strategy in the table of a comparison.

    Attributes:
        strategy: its name.
        seeds: how many searches.
        error, spread: mean and standard deviation of the retrained error over seeds; of one there is none.
        best: the least of them.
        parameters: mean.
        seconds, multiply_adds: mean cost of a search.
        gap: mean of the largest difference of outputs.
        difference, p: mean of the paired differences of error to the baseline's, and the two-sided p of the
            exact sign-flip test; None for the baseline, or without seeds in common.
    """

    strategy: str
    seeds: int
    error: float
    spread: float | None
    best: float
    parameters: float
    seconds: float
    multiply_adds: float
    gap: float | None
    difference: float | None = None
    p: float | None = None


def options_of(request: Request) -> dict[str, Any]:
    """What must be alike where searches stand beside each other: all but strategy, seed and device."""
    kept = ("cell", "preset", "epochs", "limit", "cutout", "size", "classes", "networks", "workers")
    from rung.nas.planning import space_for

    space = form_of(space_for(request))
    settings = dict(sorted(request.settings.items()))
    data = Path(str(request.data))  # wherever it lies
    cells = _checksum(space["cells"])
    known = {"data": data.name, "content": _content(data), "space": space["name"], "cells": cells}
    return {**known, **{name: getattr(request, name) for name in kept}, **settings}


def _checksum(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _content(data: Path) -> str | None:
    """A checksum of a file's bytes, or of a folder's names and sizes; None of a set known by its name."""
    if data.is_file():
        with data.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    if data.is_dir():
        files = sorted(each for each in data.rglob("*") if each.is_file())
        listed = [(str(each.relative_to(data)), each.stat().st_size) for each in files]
        return _checksum(listed)
    return None


def evened(request: Request) -> Request:
    """The same with the preset's own epochs and samples, whatever the strategy's steps cost.

    Searches beside each other see the same pictures as often, and one whose steps cost more takes longer.
    Where each network is trained on its own it stays as it is: epochs are those of each there.
    """
    from rung.nas.complete_plan import is_complete
    from rung.nas.planning import preset_of

    if is_complete(request.strategy):
        return request
    preset, told = preset_of(request), request.settings
    epochs = told.get("epochs", preset.epochs) if request.epochs is None else request.epochs
    limit = told.get("pictures", preset.pictures) if request.limit is None else request.limit
    return replace(request, epochs=epochs, limit=limit)


def settings_for(strategy: str, settings: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Those of a strategy: its own, written NAME.SETTING, before those that all share.

    Args:
        settings: (name, value), later ones before earlier.
    """
    shared = {name: value for name, value in settings if "." not in name}
    start = f"{strategy}."
    return shared | {n.removeprefix(start): value for n, value in settings if n.startswith(start)}


def check_owners(strategies: Sequence[str], settings: Sequence[tuple[str, Any]]) -> None:
    """Refuse a setting of a strategy that is not compared.

    Raises:
        UserError: there is one.
    """
    for name, _ in settings:
        owner, dot, _ = name.partition(".")
        if dot and owner not in strategies:
            raise UserError(
                f"--set {name}: {owner!r} is none of the strategies compared, {', '.join(strategies)}"
            )


def check_options(rows: Iterable[Row], strategies: Sequence[str], options: Callable[[str], Any]) -> None:
    """Refuse to put searches beside others that were made otherwise.

    Args:
        options: of a strategy's searches now.

    Raises:
        UserError: the first difference.
    """
    for row in rows:
        if row.strategy not in strategies or not row.options:
            continue
        now = options(row.strategy)
        for name in dict.fromkeys((*now, *row.options)):
            if now.get(name) != row.options.get(name):
                theirs, mine = row.options.get(name), now.get(name)
                how = _UNTOLD.get(name, f"with {name} {theirs!r}, not {mine!r}")
                raise UserError(
                    f"{row.strategy} with seed {row.seed} has a row already, of a search {how}: give the "
                    "same options, or another --out"
                )


def runs(strategies: Sequence[str], seeds: int, done: Iterable[Row] = ()) -> list[tuple[str, int]]:
    """(strategy, seed) that have no row yet: all strategies of a seed before the next seed."""
    known = {(row.strategy, row.seed) for row in done}
    return [(name, seed) for seed in range(seeds) for name in strategies if (name, seed) not in known]


def compare(
    strategies: Sequence[str],
    seeds: int,
    one: Callable[[str, int], SearchResult],
    done: Iterable[Row] = (),
    options: Callable[[str], Mapping[str, Any]] = lambda _: {},
) -> Iterator[Row]:
    """The rows that are missing, as they come.

    Args:
        one: searches with a strategy and a seed.
        done: rows that there are.
        options: what a strategy's searches are made with, kept in its rows.

    Raises:
        UserError: no strategy, or no seed.
        KeyboardInterrupt: a search was stopped before its end: it gives no row.
    """
    if not strategies or seeds < 1:
        raise UserError("a comparison needs at least one strategy and one seed")
    for name, seed in runs(strategies, seeds, done):
        yield Row.of(unstopped(one(name, seed)), options(name))


def unstopped(result: SearchResult) -> SearchResult:
    """The result of a search that went to its end: what was stopped stands beside no other.

    Raises:
        KeyboardInterrupt: it was stopped.
    """
    if result.interrupted:
        raise KeyboardInterrupt
    return result


def table(rows: Sequence[Row], baseline: str = BASELINE) -> list[Line]:
    """One line a strategy, the best mean error first."""
    names = list(dict.fromkeys(row.strategy for row in rows))
    errors = {
        name: {r.seed: r.retrained for r in rows if r.strategy == name and r.retrained is not None}
        for name in names
    }
    lines = []
    for name in names:
        own, values = [r for r in rows if r.strategy == name], np.array(list(errors[name].values()))
        if not len(values):
            continue
        gaps = [r.gap_outputs for r in own if r.gap_outputs is not None]
        difference, p = None, None
        if name != baseline and baseline in errors:
            pairs = [errors[name][s] - errors[baseline][s] for s in errors[name] if s in errors[baseline]]
            if pairs:
                difference, p = float(np.mean(pairs)), sign_flip(pairs)
        lines.append(
            Line(
                strategy=name,
                seeds=len(values),
                error=float(values.mean()),
                spread=float(values.std(ddof=1)) if len(values) > 1 else None,
                best=float(values.min()),
                parameters=float(np.mean([r.parameters for r in own])),
                seconds=float(np.mean([r.seconds for r in own])),
                multiply_adds=float(np.mean([r.multiply_adds for r in own])),
                gap=float(np.mean(gaps)) if gaps else None,
                difference=difference,
                p=p,
            )
        )
    return sorted(lines, key=lambda line: line.error)


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p of the hypothesis that paired differences are as often negative as positive.

    Exact over all 2^n signs up to n = 16, from 65,536 random ones after that (Fisher 1935). With n pairs it
    cannot be under 2^(1 - n).
    """
    d = np.asarray(differences, dtype=float)
    if not len(d) or not d.any():
        return 1.0
    if len(d) <= 16:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(d))))
    else:
        signs = np.random.default_rng(0).choice((1.0, -1.0), size=(65536, len(d)))
    means = np.abs(signs @ d) / len(d)
    return float(np.mean(means >= abs(d.mean()) - 1e-12))
