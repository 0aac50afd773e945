"""What runs found, one JSON object a line: of rung and of each peer, by rule."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.conformance.rule import Asked, Rule
from benchmarks.peers.call import Missing, call

PATH: Final = Path(__file__).resolve().parents[1] / "data" / "conformance.jsonl"
OURS: Final = "rung"


class Found(NamedTuple):
    """An outcome, whose, of which rule; `agrees` is None where nothing could be run."""

    rule: str
    who: str
    text: str
    agrees: bool | None


Records = dict[tuple[str, str], Found]


def read(path: Path = PATH) -> Records:
    """The records so far, by rule and by who."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = [Found(**json.loads(line)) for line in lines]
    return {(each.rule, each.who): each for each in found}


def write(records: Records, rules: Iterable[Rule], path: Path = PATH) -> None:
    """All records of these rules, in their order."""
    wanted = [(rule.key, who) for rule in rules for who in (OURS, *(peer.peer for peer in rule.peers))]
    lines = [json.dumps(records[key]._asdict()) for key in wanted if key in records]
    path.write_text("".join(f"{line}\n" for line in lines))


def ours(rule: Rule) -> Found:
    """What rung does, from a run now."""
    text, agrees = rule.ours()
    return Found(rule.key, OURS, text, bool(agrees))


def theirs(rule: Rule, records: Records) -> Iterable[Found]:
    """What peers do, from runs now; what an earlier run found of one that is not there."""
    for peer in rule.peers:
        if not isinstance(peer, Asked):
            yield Found(rule.key, peer.peer, peer.reason, None)
            continue
        answer: dict[str, Any] | Missing = call(
            peer.peer, "rules", {"rule": peer.rule, **peer.payload}, seconds=300
        )
        if isinstance(answer, Missing):
            earlier = records.get((rule.key, peer.peer))
            yield earlier or Found(rule.key, peer.peer, answer.reason, None)
        else:
            text, agrees = peer.read(answer)
            yield Found(rule.key, peer.peer, text, bool(agrees))
