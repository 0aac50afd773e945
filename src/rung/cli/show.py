"""`rung show`: one study, on one screen."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import output
from rung.cli.options import DEFAULT_STORAGE, Json, Name, Storage
from rung.cli.place import client_of

if TYPE_CHECKING:
    from rung.cli.store import StoredStudy
    from rung.nas.genotype import Genotype
    from rung.service.wire import StudyInfo
    from rung.study.records import TrialRecord
    from rung.trials.events import Identity
    from rung.trials.history import History, Incumbent


def show(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    top: Annotated[int, typer.Option("--top", min=0, help="How many of the best trials to list.")] = 10,
    json: Json = False,
) -> None:
    """Show a study: its settings, its budget, its best trials."""
    from rung.cli.store import looking, read_trials
    from rung.study.ranking import ranking

    with looking(storage) as store:
        study, records = read_trials(store, name)
        client = client_of(store)
        served = client.study(name) if client is not None else None
    ranked = ranking(study.history, records)[:top]
    if json:
        shared = {} if served is None else {"share": served.share, "lacks": served.lacks}
        output.print_json({**summary(study, records, ranked), **shared})
        return
    room = max(20, output.room() - 11)
    for label, text in _facts(study, records) + _share(served):
        output.print_bold(
            f"{label:<10} ", "\n".ljust(12).join(wrap(text, room, break_on_hyphens=False) or [""])
        )
    if ranked:
        sys.stdout.write("\n")
        _print_table(study, ranked)


def summary(study: StoredStudy, records: list[TrialRecord], ranked: list[TrialRecord]) -> dict[str, Any]:
    """What `--json` prints."""
    from rung.cli.store import state_of
    from rung.study.checkpoint_places import wanted
    from rung.study.checkpoint_words import kept
    from rung.study.confirm import leading

    history, one = study.history, study.row.summary
    best = leading(history)
    return {
        "name": study.row.name,
        "door": history.identity.door,
        "state": state_of(study.row),
        "writer": study.row.writer,
        "identity": history.identity,
        "limits": history.limits,
        "trials": {"all": len(records), **Counter(str(record.state) for record in records)},
        "enqueued": list(history.enqueued),
        "spent": history.spent,
        "seconds": one.seconds,
        "created": one.created,
        "updated": one.updated,
        "incumbent": None if best is None else _incumbent(study, records[best.trial], best),
        "best": [_brief(study, record) for record in ranked],
        "checkpoints": {**kept(history)._asdict(), **wanted(history)._asdict()},
        "notes": notes(study),
    }


def _incumbent(study: StoredStudy, record: TrialRecord, best: Incumbent) -> dict[str, Any]:
    """The best, where it was as good: it may have gone on, and broken a constraint."""
    shown = {**_brief(study, record), "value": best.value}
    if study.history.identity.resource is not None:
        told = (one.metrics for one in record.observations if one.resource == best.resource)
        shown |= {"resource": best.resource, "metrics": next(told, record.metrics)}
    return shown


def _brief(study: StoredStudy, record: TrialRecord) -> dict[str, Any]:
    keys = ("number", "config", "state", "value", "metrics", "resource", "checkpoint", "attributes")
    genotype = _genotype(study, record.number)
    cells = {} if genotype is None else {"genotype": genotype.to_dict()}
    return {**{key: getattr(record, key) for key in keys}, **cells}


def notes(study: StoredStudy) -> list[str]:
    """The notes that people wrote into the log."""
    from rung.trials.events import Recorded, Requested

    found = []
    for event in study.events:
        match event:
            case Requested(request="note", data=data) | Recorded(topic="note", data=data):
                found.append(str(data.get("text", "")))
    return found


def _facts(study: StoredStudy, records: list[TrialRecord]) -> list[tuple[str, str]]:
    from rung.cli.store import state_of
    from rung.study.confirm import declared
    from rung.study.found import failures, nothing_found

    identity, history = study.history.identity, study.history
    amount = identity.resource
    goal = f"{identity.metric}, {identity.mode}imised"
    if amount:
        goal += f"; {amount.name} {amount.minimum} to {amount.maximum}, eta {identity.eta}"
    counts = Counter(str(record.state) for record in records)
    facts = [
        ("study", f"{study.row.name} ({identity.door}, {state_of(study.row)})"),
        ("metric", goal),
        (
            "method",
            f"sampler {identity.sampler.title}, scheduler {identity.scheduler.name}, seed {identity.seed}",
        ),
        ("trials", f"{len(records)}" + "".join(f", {count} {state}" for state, count in counts.items())),
        ("budget", budget(study)),
    ]
    best = history.incumbent
    if best is None:
        facts.append(("best", nothing_found(records, identity) if records else "no trial has a value yet"))
    else:
        at = f" at {amount.name} {best.resource}" if amount else ""
        confirmed = declared(history)
        if confirmed is None:
            trial, said = best.trial, f"{output.number(best.value)} by trial {best.trial}{at}"
        else:
            trial = confirmed.trial
            mean = f"the mean of {len(confirmed.repeats)} repeats"
            said = f"{output.number(confirmed.value)} by trial {trial}{at}, {mean}"
        facts.append(("best", said))
        facts += _configuration(study, records[trial])
        if records[trial].attributes:
            shown = {name: _short(value) for name, value in records[trial].attributes.items()}
            facts.append(("attributes", output.settings(shown)))
    facts += _extras(study)
    why = failures(records, identity.metric)
    if why:
        facts.append(("failures", why))
    if study.row.writer:
        facts.append(("running", f"written by {study.row.writer}"))
    return facts + [("note", text) for text in notes(study)]


def _configuration(study: StoredStudy, record: TrialRecord) -> list[tuple[str, str]]:
    """Of the best trial: its values by name, or the cells of a network."""
    genotype = _genotype(study, record.number)
    if genotype is None:
        return [("", output.settings(record.config))]
    from rung.analysis.wording import cell_text

    return [(name, cell_text(cell)) for name, cell in genotype.cells]


def _genotype(study: StoredStudy, trial: int) -> Genotype | None:
    """The architecture of a search's trial; only a search loads what knows of architectures."""
    if study.history.identity.door != "search":
        return None
    from rung.analysis.wording import found

    return found(study.history, trial)


def _short(value: Any) -> str:
    """An attribute in a few words; `rung export` has all of it."""
    text = output.number(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LONGEST = 60


def _share(served: StudyInfo | None) -> list[tuple[str, str]]:
    """What a service's study has of the workers, and why none of them starts its jobs."""
    if served is None or served.objective is None:
        return []
    share = served.share
    said = f"{share['slots']:g} slots"
    if served.state == "running":
        said += f", {share['ideal']:.1f} would be fair"
    if share["due"]:
        said += f"; {share['got'] / share['due']:.0%} of its fair share over its life"
    return [("workers", said), *([("waits", served.lacks)] if served.lacks is not None else [])]


def _extras(study: StoredStudy) -> list[tuple[str, str]]:
    """What only some studies have: objectives, constraints, fixed values, a queue, a sampler's choice."""
    identity, history = study.history.identity, study.history
    facts = []
    if len(identity.goals) > 1:
        from rung.study.front import front, hypervolume

        goals = ", ".join(f"{goal.metric} ({goal.mode})" for goal in identity.goals)
        facts.append(("objectives", goals))
        volume, count = output.number(hypervolume(history)), len(front(history))
        facts.append(("front", f"{count} trial{'' if count == 1 else 's'}, hypervolume {volume}"))
    if identity.constraints:
        facts.append(("constraint", ", ".join(map(str, identity.constraints))))
    facts += _checkpoints(study)
    if history.fixed:
        facts.append(("fixed", output.settings(history.fixed)))
    if history.enqueued:
        count = len(history.enqueued)
        facts.append(("enqueued", "1 configuration waits" if count == 1 else f"{count} configurations wait"))
    choice = _choice(history)
    if choice is not None:
        facts.append(("chosen", f"sampler {choice['sampler']}: {choice['why']}"))
    return facts


def _choice(history: History) -> Mapping[str, Any] | None:
    """What a sampler that chooses has chosen last."""
    if not history.records:
        return None
    from rung.samplers.auto import TOPIC

    made = history.records.get(TOPIC)
    return made[-1].data if made else None


def _checkpoints(study: StoredStudy) -> list[tuple[str, str]]:
    """How many there are, what they hold, where, and what went wrong with them."""
    from rung.cli.sizes import spoken_size
    from rung.study.checkpoint_places import wanted
    from rung.study.checkpoint_words import kept, troubles

    now, asked = kept(study.history), wanted(study.history)
    failed, damaged, last = troubles(study.events)
    if not now.number and not last and asked == (None, None):
        return []
    text = f"{now.number} kept, {spoken_size(now.size)}"
    text += f" of at most {spoken_size(asked.limit)}" if asked.limit else ""
    text += f" in {asked.place}" if asked.place else ""
    facts = [("checkpoint", text)]
    if last:
        facts.append(("", f"{failed} not saved, {damaged} damaged; last: {last}"))
    return facts


def budget(study: StoredStudy) -> str:
    """What is spent, and of how much."""
    from rung.study.durations import spoken

    history, limits = study.history, study.history.limits
    parts = [spoken(study.row.summary.seconds) + (f" of {spoken(limits.seconds)}" if limits.seconds else "")]
    if limits.trials:
        parts.append(f"{history.begun} of {limits.trials} trials")
    amount = history.identity.resource
    if amount:
        most = f" of {limits.total_resource}" if limits.total_resource else ""
        parts.append(f"{history.spent}{most} {amount.unit}")
    if limits.target is not None and math.isfinite(limits.target):
        parts.append(f"target {output.number(limits.target)}")
    return ", ".join(parts)


def _print_table(study: StoredStudy, ranked: list[TrialRecord]) -> None:
    from rung.study.ranking import objectives

    identity = study.history.identity
    amount = [identity.resource.name] if identity.resource else []
    goals = [goal.metric for goal in identity.goals] or [identity.metric]
    right = ("trial", *goals, *amount)
    cells = [_cells(identity, record.config) for record in ranked]
    what = "configuration" if cells[0] is None else "cells"
    rows = []
    for record, network in zip(ranked, cells, strict=True):
        reached = [str(record.resource)] if amount else []
        values = [output.number(value) for value in objectives(study.history, record)]
        state = "breaks a constraint" if study.history.violation(record.number) else str(record.state)
        said = output.settings(record.config) if network is None else network
        rows.append((str(record.number), *values, *reached, state, said))
    output.print_rows(("trial", *goals, *amount, "state", what), rows, right)


def _cells(identity: Identity, config: Mapping[str, Any]) -> str | None:
    """A configuration that is a network, a line a cell; None where it is none."""
    if identity.door != "search":
        return None
    from rung.analysis.wording import architecture, cells_text

    genotype = architecture(identity, config)
    return None if genotype is None else cells_text(genotype)
