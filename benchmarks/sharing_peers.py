"""Who decides in the simulation: rung's fair sharing, and what it is compared with."""

from __future__ import annotations

from rung.cluster.sharing import Launch, Preempt, Sharing, decide
from rung.cluster.sharing_nodes import Room

fair = decide


def first_come(state: Sharing, most: int | None = None) -> list[Launch | Preempt]:
    """The oldest study gets all that it can start, then the next; nobody is stopped."""
    launches: list[Launch | Preempt] = []
    if not state.cluster.free:
        return launches
    room = Room(state.pools)
    for share in state.shares.values():  # in the order of arrival
        claim, held = share.claim, share.held
        for _ in range(claim.waiting):
            if most is not None and held + claim.gang > most:
                break
            node = room.take(claim.nodes, claim.gang)
            if node is None:
                break
            held += claim.gang
            launches.append(Launch(claim.study, node, claim.gang))
    return launches


class FixedParts:
    """Each study has so many slots, and no more."""

    def __init__(self, part: int) -> None:
        self.part = part

    def __call__(self, state: Sharing) -> list[Launch | Preempt]:
        return first_come(state, self.part)
