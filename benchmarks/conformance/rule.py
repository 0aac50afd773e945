"""A rule of a paper as a value: what it says, how to see whether rung keeps it, and what to ask of peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """What came of a run, in a few words, and whether that is what the rule says."""

    text: str
    agrees: bool


@dataclass(frozen=True)
class Asked:
    """A question to a peer: `scripts/<peer>_rules.py` is run, and its answer read.

    Attributes:
        rule, payload: what the script is asked.
        read: the outcome that an answer stands for.
    """

    peer: str
    rule: str
    read: Callable[[Mapping[str, Any]], Outcome]
    payload: Mapping[str, Any] = field(default_factory=dict)


class Cannot(NamedTuple):
    """Why a peer that one would expect here cannot be run."""

    peer: str
    reason: str


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        method: the sampler's or scheduler's name as in `rung methods`; "study" for what holds for all.
        name: unique within the method.
        says: the rule in a sentence.
        source: the paper and its section.
        ours: runs rung.
        peers: what to ask of others.
        departs: why rung does otherwise on purpose; empty if it keeps the rule.
    """

    method: str
    name: str
    says: str
    source: str
    ours: Callable[[], Outcome]
    peers: tuple[Asked | Cannot, ...] = ()
    departs: str = ""

    @property
    def key(self) -> str:
        return f"{self.method}: {self.name}"


def expect(found: object, wanted: object, text: str = "") -> Outcome:
    """The outcome of a run that found something: it agrees if that is what is wanted."""
    return Outcome(text or str(found), found == wanted)


def listed(numbers: Any) -> str:
    """Numbers as people write them: 81 / 34 / 15."""
    return " / ".join(f"{number:g}" for number in numbers)
