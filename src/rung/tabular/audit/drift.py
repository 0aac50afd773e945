"""Drift: how far a new table's columns are from a profile's, what is missing, unseen, or of another kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.apart import FEWEST, MOST, Apart, apart_findings, tell_apart
from rung.tabular.audit.cells import prepared
from rung.tabular.audit.distance import CERTAIN, Distance, levels_apart, numbers_apart
from rung.tabular.audit.finding import TABLE, Finding, by_severity, quoted, rows, share
from rung.tabular.audit.profile import SAMPLE, Levels, Numbers, Profile, coded, present_cells, uncoded
from rung.tabular.columns import Column, Kind
from rung.tabular.frames import as_pandas
from rung.tabular.names import listed

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.frames import Frame

Tell = Callable[[str], None]
_UNSEEN: Final = 0.01  # share of the present cells
_JUMP: Final = 0.05  # of the share of missing cells


class Reference(NamedTuple):
    """How to speak of what a new table is compared with, and what to do about what was found.

    Attributes:
        name: as in "levels that ... lacks".
        shifted, unseen: remedies of a column that drifted, and of levels that are new.
    """

    name: str
    shifted: str
    unseen: str


TRAINED: Final = Reference(
    "the training table",
    "find out what changed; watch the score on such rows, and refit with them if it falls",
    "rung predicts them as if the cell were missing; refit once there are rows of them with the target",
)
OTHER: Final = Reference(
    "the other table",
    "find out what changed where the column comes from",
    "find out whether they are new or misspelt",
)


@dataclass(frozen=True, slots=True)
class Drift:
    """One column of a new table against the profile.

    Attributes:
        psi, ks, p: see `distance.Distance`; `ks` and `p` are None of categories.
        level: 2 much drift, 1 some, 0 none that is certain.
        missing: share of missing cells then and now.
        unseen: share of the present cells whose level the reference lacks; None of numbers, and where the
            profile does not hold all levels.
    """

    name: str
    kind: str
    psi: float
    ks: float | None
    p: float | None
    level: int
    missing: tuple[float, float]
    unseen: float | None


@dataclass(frozen=True)
class DriftReport:
    """A table against a profile.

    Attributes:
        rows: of the new table.
        reference: rows of what it is compared with.
        columns: those with most drift first.
        findings: errors first.
        apart: how well a model tells the two tables apart; None where either has too few rows, or where a
            profile keeps none.
        notes: sentences about what was looked at in part only.
        against: what it is compared with, as a sentence calls it.
    """

    rows: int
    reference: int
    columns: tuple[Drift, ...]
    findings: list[Finding]
    apart: Apart | None
    notes: list[str]
    seconds: float
    against: str = TRAINED.name

    @property
    def drifted(self) -> bool:
        """Whether any finding is more than a note."""
        return any(one.severity != "note" for one in self.findings)

    @property
    def usable(self) -> bool:
        """Whether no finding is an error."""
        return all(one.severity != "error" for one in self.findings)


def drift_from_profile(frame: Frame, profile: Profile, tell: Tell | None = None) -> DriftReport:
    """How far `frame` is from the table that the profile was made of."""
    began = time.monotonic()
    tell = tell or (lambda text: None)
    frame = as_pandas(frame)
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    drifts, found = compare_columns(frame, profile, tell)
    found += _absent([column.name for column in profile.columns if column.name not in frame.columns])
    tell("whether a model can tell the tables apart")
    apart, note = _apart(frame, profile)
    if apart is not None:
        found += apart_findings(apart)
    return DriftReport(
        rows=len(frame),
        reference=profile.rows,
        columns=drifts,
        findings=by_severity(found),
        apart=apart,
        notes=[*sampled(len(frame), profile.rows), *note],
        seconds=time.monotonic() - began,
    )


def _apart(frame: pd.DataFrame, profile: Profile) -> tuple[Apart | None, list[str]]:
    """Whether a model tells the frame's rows from those that the profile keeps; why it was not tried."""
    if profile.sample is None:
        return None, [
            "no model was tried that tells the two tables apart, for this file keeps no rows of its training "
            "table: give that table itself to --against"
        ]
    if min(len(frame), len(profile.sample)) < FEWEST:
        return None, [f"no model was tried that tells the two tables apart: that takes {FEWEST} rows of each"]
    shared = [column for column in profile.sampled if column.name in frame.columns]
    places = [place for place, column in enumerate(profile.sampled) if column.name in frame.columns]
    names = [column.name for column in shared]
    rows = frame[names].sample(min(len(frame), MOST), random_state=0)
    new = coded(prepared(rows, shared), shared, profile.distributions())
    return tell_apart(uncoded(profile.sample[:, places]), uncoded(new), names), []


def sampled(count: int, reference: int, name: str = TRAINED.name) -> list[str]:
    """What to say of tables too long to be looked at whole."""
    long = [words for words, n in (("the new table", count), (name, reference)) if n > SAMPLE]
    return [f"{SAMPLE:,} rows of {listed(long, 'and')} were looked at, drawn at random"] if long else []


def compare_columns(
    frame: pd.DataFrame, profile: Profile, tell: Tell, reference: Reference = TRAINED
) -> tuple[tuple[Drift, ...], list[Finding]]:
    """Every column that both have, those with most drift first, and what is found of them.

    Args:
        frame: its columns are named by texts.
    """
    found = [*_few(len(frame))]
    sample = frame if len(frame) <= SAMPLE else frame.sample(SAMPLE, random_state=0)
    distributions = profile.distributions()
    drifts = []
    for column, before in zip(profile.columns, profile.missing.tolist(), strict=True):
        if column.name not in frame.columns:
            continue
        tell(f"column {column.name}")
        known = (distributions[column.name], before, profile.seen)
        drift, more = _column(sample[[column.name]], column, known, reference)
        drifts.append(drift)
        found += more
    order = sorted(drifts, key=lambda one: (-one.level, -one.psi))
    return tuple(order), found


def _absent(names: list[str]) -> Iterator[Finding]:
    if names:
        yield Finding(
            "error",
            TABLE,
            f"the new table lacks {listed(map(repr, names), 'and', 6)}, which the training table had",
            "add what is missing: the model cannot predict without it",
            "missing-columns",
        )


def _few(count: int) -> Iterator[Finding]:
    if count < 100:
        yield Finding(
            "note",
            TABLE,
            f"only {rows(count)}: smaller drifts cannot be told from chance",
            "gather more rows before you decide",
            "few-new-rows",
        )


def _column(
    cells: pd.DataFrame, column: Column, known: tuple[Numbers | Levels, float, int], reference: Reference
) -> tuple[Drift, list[Finding]]:
    """Of one column what is apart, and what is found of it.

    Args:
        known: the column's distribution in the reference, its share of missing cells, and of how many rows.
    """
    raw, (old, before, seen) = cells[column.name], known
    present, gone = present_cells(prepared(cells, [column])[column.name], column)
    counts = old.tally(present)
    if isinstance(old, Levels):
        distance = levels_apart(*old.beside(present))
        unseen = float(counts[-1] / max(len(present), 1)) if old.whole else None
    else:
        distance, unseen = numbers_apart(old.counts, counts), None
    drift = Drift(
        column.name,
        str(column.kind),
        distance.psi,
        None if np.isnan(distance.ks) else distance.ks,
        None if np.isnan(distance.p) else distance.p,
        distance.level,
        (before, gone),
        unseen,
    )
    found = [
        *_shifted(drift, distance, (old, counts), reference),
        *_unseen(drift, old, present, reference),
        *_unreadable(raw, gone, column),
        *_jump(drift, len(raw), seen, reference),
    ]
    return drift, found


def _shifted(
    drift: Drift, distance: Distance, seen: tuple[Numbers | Levels, NDArray[Any]], reference: Reference
) -> Iterator[Finding]:
    """Much or some drift.

    Args:
        seen: the distribution then, and the counts of its bins or levels now.
    """
    if not drift.level:
        return
    old, counts = seen
    if isinstance(old, Levels):
        how = _levels_moved(old, counts)
    else:
        how = _numbers_moved(old, counts, drift.kind, reference.name)
    test = "" if drift.ks is None else f", KS {distance.ks:.2f}, p {_p(distance.p)}"
    severity = "warning" if drift.level == 2 and drift.kind != Kind.DATE else "note"
    yield Finding(
        severity,
        drift.name,
        f"{'much' if drift.level == 2 else 'some'} drift (PSI {drift.psi:.2f}{test}): {how}",
        "dates move on by themselves: look at the other columns"
        if drift.kind == Kind.DATE
        else reference.shifted,
        "drift",
    )


def _p(p: float) -> str:
    return f"under {CERTAIN}" if p < CERTAIN else f"{p:.3f}"


def _numbers_moved(old: Numbers, counts: NDArray[Any], kind: str, name: str) -> str:
    """The quartiles then and now, as far as the bins tell them; how many lie beyond those of the reference.

    Args:
        name: the reference's.
    """
    then, now = ([_quantile(old, c, q) for q in (0.25, 0.5, 0.75)] for c in (old.counts, counts))
    under, beyond = (float(x / max(int(counts.sum()), 1)) for x in (counts[: old.first].sum(), counts[-1]))
    if kind == Kind.DATE:
        days = [np.datetime64(int(day), "D") for day in (then[0], then[2], now[0], now[2], old.ends[-1])]
        later = f"{share(beyond)} are later than {days[4]}, the last of {name}"
        moved = later if beyond > 0.25 else f"half between {days[2]} and {days[3]}"
        return f"half lay between {days[0]} and {days[1]}, and now {moved}"
    outside = ((under, "under the least"), (beyond, "over the greatest"))
    more = "".join(f"; {share(x)} {where} of {name}" for x, where in outside if x > 0.01)
    what = "length in letters, " if kind == Kind.TEXT else ""
    return (
        f"{what}median {then[1]:.6g} then and about {now[1]:.6g} now, half of it in {then[0]:.6g} to "
        f"{then[2]:.6g} then and {now[0]:.6g} to {now[2]:.6g} now{more}"
    )


def _quantile(old: Numbers, counts: NDArray[Any], q: float) -> float:
    """The end of the bin where the share is reached; the least or the greatest cell then beyond them."""
    place = int(np.searchsorted(np.cumsum(counts), q * counts.sum(), side="left"))
    return float(old.ends[np.clip(place, old.first, len(old.ends) - 1)])


def _levels_moved(old: Levels, counts: NDArray[Any]) -> str:
    """The two levels whose shares moved most."""
    p, q = old.counts / max(int(old.counts.sum()), 1), counts / max(int(counts.sum()), 1)
    names = [*map(repr, old.names), "unseen levels" if old.whole else "all others"]
    order = np.argsort(-np.abs(q - p), kind="stable")[:2]
    return "; ".join(f"{names[i]} {share(float(p[i]))} then and {share(float(q[i]))} now" for i in order)


def _unseen(
    drift: Drift, old: Numbers | Levels, present: NDArray[Any], reference: Reference
) -> Iterator[Finding]:
    if drift.unseen is None or drift.unseen <= 0 or not isinstance(old, Levels):
        return
    fresh = [word for word in dict.fromkeys(present.tolist()) if word not in set(old.names)]
    count = round(drift.unseen * len(present))
    yield Finding(
        "warning" if drift.unseen >= _UNSEEN and count >= 5 else "note",
        drift.name,
        f"levels that {reference.name} lacks in {rows(count)} ({share(drift.unseen)}): {quoted(fresh)}",
        reference.unseen,
        "unseen-levels",
    )


def _unreadable(raw: pd.Series, gone: float, column: Column) -> Iterator[Finding]:
    """Cells that are there and cannot be read as the column's kind."""
    count = round(gone * len(raw)) - int(raw.isna().sum())
    what = "date of the years 1678 to 2261" if column.kind == Kind.DATE else str(column.kind)
    if count > 0 and column.kind in (Kind.NUMBER, Kind.DATE):
        yield Finding(
            "warning",
            column.name,
            f"{rows(count)} ({share(count / len(raw))}) hold no {what}, which the column is made of",
            "rung takes these cells as missing; correct them, or the program that writes them",
            "unreadable",
        )


def _jump(drift: Drift, n: int, seen: int, reference: Reference) -> Iterator[Finding]:
    before, now = drift.missing
    pooled = (before * seen + now * n) / max(seen + n, 1)
    deviation = float(np.sqrt(pooled * (1 - pooled) * (1 / max(seen, 1) + 1 / max(n, 1))))
    if abs(now - before) < _JUMP or abs(now - before) < 3.3 * deviation:  # p under 0.001, both sides
        return
    yield Finding(
        "warning",
        drift.name,
        f"missing in {share(now)} of the rows, and in {share(before)} of {reference.name}",
        "find out what changed where the column comes from",
        "missing-jump",
    )
