"""What a report says in words and tables: the headline, what was spent, why it ended, settings."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from rung.analysis.charts import short
from rung.analysis.data.climb import FATES, RungCount, rung_counts
from rung.analysis.data.fronts import front, top_resource
from rung.analysis.data.progress import finite
from rung.analysis.kinds.process import FATE_COLOURS
from rung.analysis.subject import Subject
from rung.space.domains import Choice, Constant, Domain, Float, Integer
from rung.study.confirm import Declared, declared
from rung.study.durations import spoken
from rung.study.found import failures, nothing_found
from rung.study.front import hypervolume
from rung.study.ranking import ranking
from rung.study.records import TrialRecord
from rung.trials import events as ev
from rung.trials.history import CONFIRM, TOLD

_ENDS: Final = {
    "done": "all that was asked for is done",
    "budget": "the time budget is spent",
    "target": "the target is reached",
    "total_resource": "the next job needs more than what is left of the total resource",
    "paused": "it was paused",
    "stopped": "it was stopped on request",
    "interrupted": "it was interrupted",
    "exhausted": "nothing was left to try",
    "failing": "all trials failed alike",
    "closed": "its process closed it",
}
_APART: Final = {
    CONFIRM: ("repeat of the best", "repeats of the best"),
    TOLD: ("result that was known before", "results that were known before"),
}


class Headline(NamedTuple):
    """What stands largest: `value` under `label`; `config` as (name, value); `more` as sentences."""

    label: str
    value: str | None
    config: list[tuple[str, str]]
    more: list[str]


def headline(subject: Subject) -> Headline:
    """The best trial; of several objectives, the front."""
    best = subject.history.incumbent
    goal = subject.goals[0]
    if best is None:
        return Headline(f"best {goal.metric}", None, [], [_nothing(subject)])
    if len(subject.goals) > 1:
        return _front_headline(subject)
    confirmed = declared(subject.history)
    trial = best.trial if confirmed is None else confirmed.trial
    value = best.value if confirmed is None else confirmed.value
    more = [f"Trial {trial}{subject.at(best.resource)}; {_sense(goal.mode)} is better."]
    if confirmed is not None:
        more += _confirmed(confirmed, subject.records[trial])
    return Headline(f"best {goal.metric}", f"{value:.6g}", _pairs(subject.records[trial].config), more)


def _nothing(subject: Subject) -> str:
    """Why there is no best trial, as a sentence."""
    if not ranking(subject.history, subject.records):
        return "No trial has a usable value yet."
    why = nothing_found(subject.records, subject.identity)
    return f"{why[0].upper()}{why[1:]}."


def _front_headline(subject: Subject) -> Headline:
    resource = top_resource(subject)
    found = front(subject, resource)
    count = int(found.front.sum())
    more = []
    for j, goal in enumerate(subject.goals):
        if count:
            values = found.values[found.front, j]
            ends = f"{np.min(values):.5g} to {np.max(values):.5g}"
            more.append(f"{goal.metric}: {ends}; {_sense(goal.mode)} is better.")
    of = f"of {len(found.trials):,} trials{subject.at(resource)}"
    volume = hypervolume(subject.history)
    if volume is not None:
        more.append(f"Hypervolume {volume:.5g}.")
    return Headline(f"trials on the Pareto front, {of}", str(count), [], more)


def _sense(mode: str) -> str:
    return "more" if mode == "max" else "less"


def _confirmed(found: Declared, record: TrialRecord) -> list[str]:
    """What came of evaluating the best configurations again."""
    repeats = ", ".join(f"{value:.5g}" for value in found.repeats)
    spread = f" ± {statistics.stdev(found.repeats):.2g}" if len(found.repeats) > 1 else ""
    lines = [f"Confirmed: the mean{spread} of {len(found.repeats)} more evaluations ({repeats})."]
    if record.value is not None:
        lines.append(f"It had {record.value:.6g} when it was chosen.")
    return lines


def _pairs(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, f"{v:.6g}" if isinstance(v, float) else str(v)) for name, v in config.items()]


def facts(subject: Subject) -> list[tuple[str, str]]:
    """What it took, and why it ended."""
    history, limits = subject.history, subject.history.limits
    states = Counter(str(record.state) for record in subject.records)
    counted = ", ".join(f"{count} {state}" for state, count in states.most_common())
    rows = [("trials", f"{len(history):,}" + (f": {counted}" if counted else ""))]
    if subject.identity.resource:
        most = f" of at most {limits.total_resource:,}" if limits.total_resource else ""
        rows.append(("spent", f"{history.spent:,}{most} {subject.identity.resource.unit}"))
    seconds = spoken(history.clock.known())
    rows.append(("time", seconds + (f" of {spoken(limits.seconds)}" if limits.seconds else "")))
    rows.append(("ended", _why_ended(subject)))
    why = failures(subject.records, subject.identity.metric)
    if why:
        rows.append(("failures", why))
    if history.apart:
        kinds = Counter(history.apart.values())
        told = [f"{n} {_APART[kind][n > 1]}" for kind, n in kinds.items()]
        rows.append(("besides", ", ".join(told)))
    return rows


def _why_ended(subject: Subject) -> str:
    """Why no further job was started, in words."""
    history = subject.history
    reason: str | None = None
    for event in reversed(subject.events):
        if isinstance(event, ev.SessionEnded):
            reason = event.reason
        if isinstance(event, ev.SessionEnded | ev.SessionStarted):
            break
    if reason is None:
        return "it runs, or its process died: the log has no end"
    if history.exhausted and reason == "done":
        reason = "exhausted"
    if history.stopping and history.stopping in _ENDS:
        reason = history.stopping
    return _ENDS.get(reason, reason)


class RungRow(NamedTuple):
    """A row of the ladder's table; `parts` are (colour, per cent, words) of its bar."""

    rung: RungCount
    went: str
    parts: list[tuple[str, float, str]]


def ladder_table(subject: Subject) -> list[RungRow]:
    """What was planned at each rung and what came of it, the highest first; empty with one rung only."""
    counts = rung_counts(subject)
    if len(counts) < 2:
        return []
    most = max(count.reached for count in counts) or 1
    rows = []
    for count in reversed(counts):
        parts = [
            (FATE_COLOURS[fate], round(100 * count.fates[fate] / most, 2), f"{count.fates[fate]} {fate}")
            for fate in FATES
            if count.fates.get(fate)
        ]
        went = "–" if count.last_on is None else f"{count.last_on:.5g}"
        went += ", breaks a constraint" * count.broken
        rows.append(RungRow(count, went, parts))
    return rows


class Row(NamedTuple):
    """A trial in the table."""

    number: int
    values: list[str]
    resource: str
    state: str
    origin: str
    config: list[tuple[str, str]]
    attributes: list[tuple[str, str]]


def row(subject: Subject, record: TrialRecord) -> Row:
    """A trial as the table shows it."""
    last = record.observations[-1].metrics if record.observations else {}
    values = [finite(last, goal) for goal in subject.goals]
    origin = record.origin.sampler
    if record.origin.parent is not None:
        origin += f" from {record.origin.parent}"
    return Row(
        record.number,
        ["–" if value is None else f"{value:.6g}" for value in values],
        "" if record.resource is None else str(record.resource),
        str(record.state),
        origin,
        [(name, short(value)) for name, value in record.config.items()],
        [(name, short(value)) for name, value in record.attributes.items()],
    )


def parameters(subject: Subject) -> list[tuple[str, str, str]]:
    """(name, domain in words, when it is active) of every parameter."""
    space, found = subject.space, []
    for name, domain, gate in zip(space.keys, space.domains, space.layout.gates, strict=True):
        found.append((name, _said(domain), "" if gate is None else "in some configurations only"))
    return found


def _said(domain: Domain) -> str:
    if isinstance(domain, Float | Integer):
        kind = "whole number" if isinstance(domain, Integer) else "number"
        log = ", logarithmic" if domain.log else ""
        step = f", in steps of {domain.step:g}" if domain.step else ""
        return f"{kind} from {domain.low:g} to {domain.high:g}{log}{step}"
    if isinstance(domain, Constant):
        return f"always {domain.value}"
    words = "branches" if isinstance(domain, Choice) else "ordered values" if domain.ordered else "values"
    listed = [short(value) for value in domain.values]
    more = f" and {len(listed) - 12} more" if len(listed) > 12 else ""
    return f"{words}: {', '.join(listed[:12])}{more}"


def settings(subject: Subject) -> list[tuple[str, str]]:
    """What the study was told."""
    identity, limits = subject.identity, subject.history.limits
    rows = [("objective", ", ".join(f"{goal.metric}, {goal.mode}imised" for goal in subject.goals))]
    if identity.constraints:
        rows.append(("constraints", ", ".join(map(str, identity.constraints))))
    if identity.resource:
        r = identity.resource
        rows.append(("resource", f"{r.name}, {r.minimum} to {r.maximum}, eta {identity.eta}"))
    rows += [("sampler", _spec(identity.sampler)), ("scheduler", _spec(identity.scheduler))]
    rows.append(("seed", str(identity.seed)))
    told = {
        "trials": limits.trials,
        "time": spoken(limits.seconds) if limits.seconds else None,
        "total resource": limits.total_resource,
        "target": limits.target,
        "time of a trial": spoken(limits.trial_seconds) if limits.trial_seconds else None,
    }
    rows += [(f"limit: {name}", str(value)) for name, value in told.items() if value is not None]
    sessions = [event for event in subject.events if isinstance(event, ev.SessionStarted)]
    if sessions:
        last = sessions[-1]
        number = f"{len(sessions)} session{'' if len(sessions) == 1 else 's'}"
        rows.append(("ran on", f"{last.executor}, {last.workers} at a time; {number}"))
    if isinstance(subject.events[0], ev.StudyCreated):
        rows.append(("made with", f"rung {subject.events[0].version}"))
    return rows


def _spec(spec: ev.Spec) -> str:
    inner = ", ".join(
        f"{name}={value}" for name, value in spec.settings.items() if not isinstance(value, Mapping)
    )
    return f"{spec.title} ({inner})" if inner else spec.title


def notes(subject: Subject) -> list[str]:
    """What people noted."""
    found = []
    for event in subject.events:
        match event:
            case ev.Requested(request="note", data=data) | ev.Recorded(topic="note", data=data):
                found.append(str(data.get("text", "")))
    return found
