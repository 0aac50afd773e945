"""Which job runs in which slot of a cluster, which slots are made, which are given back: pure decisions.

A slot is a persistent worker somewhere in the cluster, of some number of devices; it is made when a job
first needs it and kept for the next one. Jobs are served in their order. A job that needs several devices
at once (a gang) and must wait for them holds back all that came after it: what becomes free is given back to
the cluster for it, so that neither small jobs can starve it nor half a gang can wait for the other half.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

State = Literal["starting", "idle", "busy"]


class Wish(NamedTuple):
    """A job that waits for a slot: the devices it takes, and the node where it ran last, if that is known."""

    devices: int = 1
    home: str | None = None


class Place(NamedTuple):
    """A slot as it stands."""

    devices: int
    state: State
    node: str | None = None


class Plan(NamedTuple):
    """What to do now.

    Attributes:
        assign: (place in the queue, place among the slots) of jobs that start, in the queue's order.
        create: the wishes for which a slot is to be made.
        release: slots, by their place, that are given back.
    """

    assign: tuple[tuple[int, int], ...]
    create: tuple[Wish, ...]
    release: tuple[int, ...]


def arrange(queue: Sequence[Wish], slots: Sequence[Place], capacity: int, gang: bool = False) -> Plan:
    """Serve the queue.

    Args:
        capacity: devices that the cluster holds.
        gang: every job is one, as it needs several nodes at once.
    """
    idle = [index for index, slot in enumerate(slots) if slot.state == "idle"]
    assign: list[tuple[int, int]] = []
    waiting: list[Wish] = []
    for number, wish in enumerate(queue):
        if waiting and wish.devices != waiting[0].devices:
            break  # first come, first served
        chosen = _choose(wish, slots, idle)
        if chosen is not None:
            idle.remove(chosen)
            assign.append((number, chosen))
        else:
            waiting.append(wish)
            if (gang or wish.devices > 1) and number + 1 < len(queue):
                break
    create = _missing(waiting, slots)
    return Plan(tuple(assign), create, _surplus(waiting, slots, idle, capacity))


def _choose(wish: Wish, slots: Sequence[Place], idle: Sequence[int]) -> int | None:
    """An idle slot of the wish's size: on the trial's own node if there is one, else the latest used."""
    fitting = [index for index in idle if slots[index].devices == wish.devices]
    own = [index for index in fitting if wish.home is not None and slots[index].node == wish.home]
    return (own or fitting)[-1] if fitting else None


def _missing(waiting: Sequence[Wish], slots: Sequence[Place]) -> tuple[Wish, ...]:
    """The wishes for which no slot is being made yet."""
    coming = Counter(slot.devices for slot in slots if slot.state == "starting")
    missing = []
    for wish in waiting:
        if coming[wish.devices]:
            coming[wish.devices] -= 1
        else:
            missing.append(wish)
    return tuple(missing)


def _surplus(
    waiting: Sequence[Wish], slots: Sequence[Place], idle: Sequence[int], capacity: int
) -> tuple[int, ...]:
    """Idle slots of another size that must make room for what waits."""
    if not waiting:
        return ()
    kept = sum(slot.devices for slot in slots if slot.state == "busy")
    if kept + sum(slots[i].devices for i in idle) + sum(wish.devices for wish in waiting) <= capacity:
        return ()
    return tuple(index for index in idle if slots[index].devices != waiting[0].devices)


def describe(nodes: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> str:
    """What the nodes have of these resources, the largest of each, in a few words."""
    if not nodes:
        return "there is no node"
    parts = []
    for name in names:
        most = max(node.get(name, 0.0) for node in nodes.values())
        parts.append(f"{most / 1e9:.3g} GB of memory" if name == "memory" else f"{most:g} {name}")
    have = " and ".join(parts)
    if len(nodes) == 1:
        return f"the only node has {have}"
    return f"of {len(nodes)} nodes none has more than {have}"
