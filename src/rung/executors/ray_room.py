"""What of a cluster's nodes a study can use: how many slots, which node suits whom, who waits in vain."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from rung.errors import StudyError
from rung.executors.needs import Needs
from rung.executors.ray_places import Cluster, Slot
from rung.executors.ray_slots import Wish, describe

TICK: Final = 1.0  # seconds between two looks at the cluster's nodes
_SLOW: Final = 10.0  # seconds in which a slot starts where there is room for it: else others use the rest
_DOUBT: Final = 30.0  # seconds in which slots are made elsewhere than on a node that lost one: it may be gone


class Room:
    """The nodes of a cluster, as they were when somebody looked last.

    Args:
        needs: of a trial on one device.
        patience: seconds to wait for nodes that can hold a trial, when there is none.

    Raises:
        StudyError: no node can hold a trial, and none comes in time.
    """

    def __init__(self, cluster: Cluster, needs: Needs, patience: float) -> None:
        self._cluster = cluster
        self._needs = needs
        self._patience = patience
        self._homes: dict[int, str] = {}  # the node where a trial ran last
        self._doubted: dict[str, float] = {}  # nodes on which a slot was lost, and when
        self._hopeless: float | None = None  # since when what is wanted next fits on no node
        self.look()
        until = time.monotonic() + patience
        while self.held < 1:
            if time.monotonic() >= until:
                cluster.close()
                raise StudyError(f"no trial can run on this cluster: {self.too_large(needs)}")
            time.sleep(min(TICK, patience))
            self.look()

    def look(self) -> None:
        """Ask the cluster for its nodes."""
        self.looked = now = time.monotonic()
        self._doubted = {node: when for node, when in self._doubted.items() if now - when < _DOUBT}
        self.nodes: Mapping[str, Mapping[str, float]] = self._cluster.nodes()
        self.held = self._needs.capacity(self.nodes.values())  # devices that the nodes have room for

    def slots(self) -> int:
        """How many devices there is room for, by a look that is fresh."""
        if self.due:
            self.look()
        return self.held

    @property
    def due(self) -> bool:
        """Whether it is time to look again."""
        return time.monotonic() - self.looked >= TICK

    def devices(self, slots: Sequence[Slot]) -> int:
        """How many there are for these slots and more; where one starts slowly others use the rest."""
        now = time.monotonic()
        if any(slot.state == "starting" and now - slot.since > _SLOW for slot in slots):
            return min(self.held, sum(slot.devices for slot in slots))
        return self.held

    def unwanted(self, slot: Slot) -> bool:
        """Whether a slot has been starting for long, when no job waits."""
        return slot.state == "starting" and time.monotonic() - slot.since > _SLOW

    def holds(self, needs: Needs) -> bool:
        """Whether there are nodes that could hold this, were they free."""
        return needs.capacity(self.nodes.values()) > 0

    def too_large(self, needs: Needs) -> str:
        """Why they cannot, in a sentence."""
        have = describe(self.nodes, list(needs.resources()))
        return f"it needs {needs}, but {have}; change what it needs, or add nodes"

    def in_vain(self, needs: Needs | None) -> bool:
        """Whether what is wanted next (None: nothing) has fitted on no node for too long."""
        if needs is None or self.holds(needs):
            self._hopeless = None
            return False
        self._hopeless = self._hopeless or time.monotonic()
        if time.monotonic() - self._hopeless < self._patience:
            return False
        self._hopeless = None
        return True

    def ran(self, trial: int, node: str | None) -> None:
        """Note where a trial runs: its checkpoint will be near."""
        if node is not None:
            self._homes[trial] = node

    def home(self, trial: int) -> str | None:
        """The node where a trial ran last."""
        return self._homes.get(trial)

    def doubt(self, node: str) -> None:
        """Note that a slot was lost there."""
        self._doubted[node] = time.monotonic()

    def preferred(self, wish: Wish, needs: Needs, slots: Sequence[Slot]) -> str | None:
        """The trial's own node; or, where one was lost a moment ago, one that is known to live.

        The cluster itself learns of a node's death late, and would place the slot there until then.
        """
        if not self._doubted or (wish.home is not None and wish.home not in self._doubted):
            return wish.home
        held = Counter(slot.node for slot in slots)
        trusted = [node for node in self.nodes if node not in self._doubted]
        return max(trusted, key=lambda node: needs.on(self.nodes[node]) - held[node], default=None)
