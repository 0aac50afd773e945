"""What one trial needs of a cluster: processor cores, GPUs, memory, anything that its nodes declare."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fractions import Fraction
from math import ceil

from rung.errors import StudyError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12} | {
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?", re.IGNORECASE)
_FINEST = Fraction(1, 10_000)  # what Ray counts in
_CUSTOM = "custom."
_NAMES = ("cpus", "gpus", "memory", "nodes")
_HOW = "write it as cpus=2,gpus=0.5,memory=4GB,custom.tpu=1,nodes=2"


@dataclass(frozen=True)
class Needs:
    """What each device of a trial takes, and over how many nodes the trial runs.

    Attributes:
        cpus: processor cores; may be a fraction.
        gpus: a fraction below 1 (several trials share a GPU), or a whole number.
        memory: bytes that are set aside for it; a limit is `trial_memory`.
        custom: further resources that nodes declare, by name.
        nodes: over so many nodes, each of which gives all of this.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0
    custom: tuple[tuple[str, float], ...] = ()
    nodes: int = 1

    def __post_init__(self) -> None:
        for name, amount in (("cpus", self.cpus), ("gpus", self.gpus), ("memory", self.memory), *self.custom):
            if amount < 0:
                raise StudyError(f"needs: {name} must not be negative, but is {amount:g}")
        if self.gpus > 1 and self.gpus % 1:
            raise StudyError(
                f"needs: gpus must be a fraction below 1 or a whole number, not {self.gpus:g}: "
                "a trial gets a part of one GPU, or several whole ones"
            )
        if not self.resources():
            raise StudyError(
                "needs: a trial must need something, such as cpus=1, or any number would run at once"
            )

    @classmethod
    def parse(cls, text: str) -> Needs:
        """What `text` says, such as "cpus=2,gpus=0.5,memory=4GB,custom.tpu=1,nodes=2".

        Raises:
            StudyError: it is not understood.
        """
        found: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, value = (word.strip() for word in part.partition("="))
            if not equals or not value:
                raise StudyError(f"needs {text!r}: {part!r} is not understood; {_HOW}")
            if name in found:
                raise StudyError(f"needs {text!r}: {name} is there twice")
            found[_known(name, text)] = _size(value, text) if name == "memory" else _number(name, value, text)
        nodes = found.pop("nodes", 1.0)
        if nodes % 1 or nodes < 1:
            raise StudyError(f"needs {text!r}: nodes must be a whole number of at least 1")
        own = {name.removeprefix(_CUSTOM): found[name] for name in found if name.startswith(_CUSTOM)}
        return cls(
            cpus=found.get("cpus", 1.0),
            gpus=found.get("gpus", 0.0),
            memory=int(found.get("memory", 0)),
            custom=tuple(sorted(own.items())),
            nodes=int(nodes),
        )

    def times(self, devices: int) -> Needs:
        """What a job on so many devices of one node takes; of GPUs more than one are whole ones."""
        if devices == 1:
            return self
        gpus = self.gpus * devices
        return replace(
            self,
            cpus=self.cpus * devices,
            gpus=float(ceil(gpus)) if gpus > 1 else gpus,
            memory=self.memory * devices,
            custom=tuple((name, amount * devices) for name, amount in self.custom),
        )

    def resources(self) -> dict[str, float]:
        """What it takes of one node, by Ray's names; what it needs none of is left out."""
        named = {"CPU": self.cpus, "GPU": self.gpus, "memory": float(self.memory), **dict(self.custom)}
        return {name: amount for name, amount in named.items() if amount > 0}

    def on(self, node: Mapping[str, float]) -> int:
        """How often it fits on a node that has these resources."""
        return min(
            int(Fraction(node.get(name, 0.0)).limit_denominator(10_000) / max(_exact(amount), _FINEST))
            for name, amount in self.resources().items()
        )

    def capacity(self, nodes: Iterable[Mapping[str, float]]) -> int:
        """How many trials can run at once on these nodes, each on as many different ones as it needs."""
        room = [self.on(node) for node in nodes]
        most = sum(room) // self.nodes
        while most and sum(min(each, most) for each in room) < self.nodes * most:
            most -= 1
        return most

    def __str__(self) -> str:
        own = [f"{_CUSTOM}{name}={amount:g}" for name, amount in self.custom]
        words = [f"cpus={self.cpus:g}", *([f"gpus={self.gpus:g}"] if self.gpus else ())]
        words += [f"memory={_size_words(self.memory)}"] if self.memory else []
        return ",".join([*words, *own, *([f"nodes={self.nodes}"] if self.nodes > 1 else ())])


def _size_words(size: int) -> str:
    """Bytes as somebody would write them, such as 4GB; exactly."""
    for unit, name in ((10**9, "GB"), (2**30, "GiB"), (10**6, "MB"), (2**20, "MiB")):
        if size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


def _exact(amount: float) -> Fraction:
    return Fraction(amount).limit_denominator(10_000)


def _known(name: str, text: str) -> str:
    if name in _NAMES or (name.startswith(_CUSTOM) and name != _CUSTOM):
        return name
    close = get_close_matches(name, _NAMES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"a node's own resource is {_CUSTOM}{name or 'NAME'}=1"
    raise StudyError(f"needs {text!r}: {name!r} is not known: {hint}; {_HOW}")


def _number(name: str, value: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not 0 <= number < float("inf"):
        raise StudyError(f"needs {text!r}: {name} must be a number of at least 0, not {value!r}")
    return number


def _size(value: str, text: str) -> float:
    match = _SIZE.fullmatch(value)
    if match is None:
        raise StudyError(
            f"needs {text!r}: memory must be an amount such as 500MB, 4GB or 1.5GiB, not {value!r}"
        )
    return int(float(match[1]) * _UNITS[match[2].lower()])
