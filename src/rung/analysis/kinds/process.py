"""The ladder and the time line: what the study did, and what came of it."""

from __future__ import annotations

from typing import Final

import numpy as np

from rung.analysis.charts import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PINK,
    RED,
    SKY,
    SOFT,
    Axis,
    Bars,
    Chart,
    Line,
    Mark,
    Panel,
    Points,
    sequence,
)
from rung.analysis.data.climb import FATES, Climber, RungCount, climbers, rung_counts
from rung.analysis.data.jobs import Job, jobs, merged
from rung.analysis.data.values import thin
from rung.analysis.kinds.options import Options, amount
from rung.analysis.subject import Subject
from rung.errors import StudyError
from rung.study.durations import spoken

FATE_COLOURS: Final = {
    "went on": BLUE,
    "complete": GREEN,
    "stayed": FAINT,
    "stopped": ORANGE,
    "running": PINK,
    "failed": RED,
}
CLIMBERS: Final = 600  # trials that the ladder shows one by one
BARS: Final = 3000  # jobs that the time line shows


# -- the ladder ---------------------------------------------------------------------------------------------


def ladder(subject: Subject, options: Options) -> Chart:
    """Which trials climbed, which stayed, and why; and how many at each rung."""
    counts = rung_counts(subject)
    if len(counts) < 2:
        raise StudyError(f"study {subject.name!r} has one rung only: there is nothing to climb")
    every = climbers(subject)
    if not every:
        raise StudyError(f"study {subject.name!r} has no trials yet")
    rungs = [count.resource for count in counts]
    ticks = [(float(i), str(resource)) for i, resource in enumerate(rungs)]
    y = Axis(subject.unit or "rung", ticks=[(-1.0, "start"), *ticks], span=(-1.4, len(rungs) - 0.4))
    bars = Panel(
        Axis("trials", whole=True),
        Axis(ticks=ticks, span=(-1.4, len(rungs) - 0.4)),
        _bars(counts, subject.unit or "rung"),
    )
    climb = Panel(Axis("trial", whole=True), y, _climbs(every, rungs))
    note = "Left: every trial, up to the highest rung where it has a result; point at one to see why."
    if any(count.planned is not None for count in counts):
        note += " Right: what became of the trials at each rung; the diamonds are the plan."
    return Chart("ladder", "The ladder", [climb, bars], 2, note, widths=(1.7, 1.0))


def _climbs(every: list[Climber], rungs: list[int]) -> list[Mark]:
    order = np.array([-float(climber.top) + climber.trial * 1e-9 for climber in every])
    shown = [every[i] for i in thin(order, CLIMBERS).tolist()]
    place = {0: -1, **{resource: i for i, resource in enumerate(rungs)}}
    marks: list[Mark] = []
    for fate in FATES:
        group = [climber for climber in shown if climber.fate == fate]
        if not group:
            continue
        x: list[float] = []
        y: list[float] = []
        for climber in group:
            x += [climber.trial, climber.trial, np.nan]
            y += [-1, place[climber.top], np.nan]
        colour = FATE_COLOURS[fate]
        marks.append(Line(np.array(x, np.float64), np.array(y, np.float64), colour, "", 1.0, opacity=0.45))
        tops = np.array([float(place[climber.top]) for climber in group])
        numbers = np.array([float(climber.trial) for climber in group])
        text = [f"<b>trial {c.trial}</b><br>{c.why}" for c in group]
        symbol = "cross" if fate == "failed" else "circle"
        marks.append(Points(numbers, tops, colour, fate, 7.0, symbol, 1.0, text))
    return marks


def _bars(counts: list[RungCount], unit: str) -> list[Mark]:
    y = np.arange(len(counts), dtype=np.float64)
    left = np.zeros(len(counts))
    marks: list[Mark] = []
    for fate in FATES:
        length = np.array([float(count.fates.get(fate, 0)) for count in counts])
        if not length.any():
            continue
        text = [_told(count, fate, unit) for count in counts]
        name = "went on" if fate == "went on" else fate
        marks.append(Bars(y, length, FATE_COLOURS[fate], name, left.copy(), thickness=0.62, text=text))
        left += length
    planned = [(i, count.planned) for i, count in enumerate(counts) if count.planned is not None]
    if planned:
        at, number = np.array(planned, np.float64).T
        text = [f"{unit} {counts[int(i)].resource}<br>planned: {int(n)} trials" for i, n in planned]
        marks.append(Points(number, at, INK, "planned", 8.0, "diamond", 1.0, text))
    return marks


def _told(count: RungCount, fate: str, unit: str) -> str:
    lines = [f"<b>{unit} {count.resource}</b>", f"{count.fates.get(fate, 0)} of {count.reached}: {fate}"]
    if count.last_on is not None:
        worst = f"the worst that went on has {count.last_on:.5g} and breaks a constraint"
        lines.append(worst if count.broken else f"went on with {count.last_on:.5g} or better")
    return "<br>".join(lines)


# -- the time line ------------------------------------------------------------------------------------------


def timeline(subject: Subject, options: Options) -> Chart:
    """When each job ran, in lanes; coloured by how far it went."""
    found = jobs(subject.events)
    if not found.jobs:
        raise StudyError(f"study {subject.name!r} has run no jobs yet")
    if found.seconds <= 0.0:
        raise StudyError(f"the jobs of study {subject.name!r} took no time at all: there is no time line")
    unit, divisor = _clock(found.seconds)
    shown = merged(found.jobs, found.seconds / 1500)
    if len(shown) > BARS:
        shown = [shown[i] for i in np.linspace(0, len(shown) - 1, BARS).astype(np.int64).tolist()]
    lanes = 1 + max(job.lane for job in found.jobs)
    marks: list[Mark] = [
        _job_bars(subject, name, colour, [row for row in shown if key == _group(row[0], subject)], divisor)
        for key, name, colour in _groups(subject, [job for job, _ in shown])
    ]
    busy = sum(job.ended - job.began for job in found.jobs) / (lanes * found.seconds)
    note = f"{len(found.jobs):,} jobs, at most {lanes} at a time, busy {busy:.0%} of {spoken(found.seconds)}."
    if found.breaks:
        marks += [_break(at / divisor, lanes) for at in found.breaks]
        note += " Dashed: the study was taken up again; the time in between is left out."
    step = max(1, lanes // 16)
    ticks = [(float(lane), str(lane + 1)) for lane in range(0, lanes, step)]
    y = Axis("lane", ticks=ticks, span=(-0.7, lanes - 0.3))
    x = Axis(unit, span=(0.0, found.seconds / divisor))
    height = min(1.6, 0.4 + 0.06 * lanes)
    return Chart("timeline", "What ran when", [Panel(x, y, marks)], note=note, height=height)


def _clock(seconds: float) -> tuple[str, float]:
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds > 3 * size:
            return unit, size
    return "seconds", 1.0


def _group(job: Job, subject: Subject) -> str:
    """What a bar's colour says: how a job ended if badly, else how far it was to go."""
    if job.outcome in ("finished", "running"):
        return str(job.until) if subject.unit else job.outcome
    return job.outcome


def _groups(subject: Subject, found: list[Job]) -> list[tuple[str, str, str]]:
    """(group, name, colour) of all that there are."""
    keys = list(dict.fromkeys(_group(job, subject) for job in found))
    levels = sorted((key for key in keys if key.isdigit()), key=int)
    rows = [
        (key, f"up to {subject.unit} {key}", colour)
        for key, colour in zip(levels, sequence(len(levels)) if levels else [], strict=True)
    ]
    others = {"finished": SKY, "running": PINK, "stopped": ORANGE, "interrupted": SOFT, "lost": SOFT}
    return rows + [(key, key, others.get(key, RED)) for key in keys if not key.isdigit()]


def _job_bars(subject: Subject, name: str, colour: str, rows: list[tuple[Job, int]], divisor: float) -> Bars:
    began = np.array([job.began for job, _ in rows]) / divisor
    length = np.array([job.ended - job.began for job, _ in rows]) / divisor
    lanes = np.array([float(job.lane) for job, _ in rows])
    text = [_job_told(subject, job, count) for job, count in rows]
    return Bars(lanes, length, colour, name, began, thickness=0.82, text=text)


def _job_told(subject: Subject, job: Job, count: int) -> str:
    if count > 1:
        return f"{count} jobs, {job.outcome}, {spoken(job.ended - job.began)}"
    way = f"{amount(subject)} {job.start} to {job.until}, " if subject.unit else ""
    return f"<b>trial {job.trial}</b><br>{way}{job.outcome}<br>{spoken(job.ended - job.began)}"


def _break(at: float, lanes: int) -> Line:
    return Line(np.array([at, at]), np.array([-0.7, lanes - 0.3]), SOFT, "", 1.2, dash=True)
