"""Nodes and what runs on them, indexed by how many slots are free."""

from __future__ import annotations

from collections.abc import Iterator

from rung.cluster.sharing_events import Task

Names = tuple[str, ...] | None  # of the nodes that can run a claim's jobs; None for all


class TaskState:
    """A running job: `filling` if it was started on a node that is kept for another study's gang."""

    __slots__ = ("filling", "leaving", "saved", "started", "task")

    def __init__(self, task: Task, started: float, filling: bool) -> None:
        self.task = task
        self.started = started
        self.saved = task.saved or started
        self.leaving = False
        self.filling = filling

    @property
    def loss(self) -> tuple[int, float, float, int]:
        """Sorts by what is lost when it stops: lowest level, last saved, last started first."""
        return self.task.level, -self.saved, -self.started, -self.task.trial


class NodeState:
    """A node; `kept_for` is the study whose gang it is kept for."""

    __slots__ = ("gone", "kept_for", "leaving", "name", "slots", "tasks", "used")

    def __init__(self, name: str, slots: int) -> None:
        self.name = name
        self.slots = slots
        self.used = 0
        self.leaving = 0  # of the used ones, those whose job was asked to stop
        self.gone = False
        self.kept_for: str | None = None
        self.tasks: dict[tuple[str, int], TaskState] = {}

    @property
    def free(self) -> int:
        return 0 if self.gone else max(0, self.slots - self.used)


class Pool:
    """Nodes that can run certain claims, and which of them have free slots that are kept for nobody."""

    __slots__ = ("_free_of", "by_free", "claims", "names", "sizes")

    def __init__(self, names: frozenset[str] | None) -> None:
        self.names = names  # None for all
        self.claims = 0  # that use it
        self.sizes: dict[int, int] = {}  # nodes by number of slots
        self.by_free: dict[int, dict[str, None]] = {}
        self._free_of: dict[str, int] = {}

    def holds(self, name: str) -> bool:
        return self.names is None or name in self.names

    def resize(self, before: int, after: int) -> None:
        """One of its nodes has `after` slots instead of `before`; 0 if there is no such node."""
        if before:
            self.sizes[before] -= 1
            if not self.sizes[before]:
                del self.sizes[before]
        if after:
            self.sizes[after] = self.sizes.get(after, 0) + 1

    def capacity(self, gang: int) -> int:
        """Slots that jobs of `gang` slots could fill at once."""
        return sum(count * (size // gang) * gang for size, count in self.sizes.items())

    def place(self, name: str, free: int) -> None:
        """`name` has this many free slots now."""
        before = self._free_of.get(name, 0)
        if before == free:
            return
        if before:
            names = self.by_free[before]
            del names[name]
            if not names:
                del self.by_free[before]
            del self._free_of[name]
        if free:
            self.by_free.setdefault(free, {})[name] = None
            self._free_of[name] = free


class Cluster:
    """All nodes, and pools of them that are kept up to date."""

    __slots__ = ("capacity", "free", "nodes", "pools", "used")

    def __init__(self) -> None:
        self.nodes: dict[str, NodeState] = {}
        self.pools: dict[Names, Pool] = {None: Pool(None)}
        self.capacity = 0  # slots
        self.used = 0
        self.free = 0

    def node(self, name: str) -> NodeState:
        """The node; one that is not known has no slots, and is gone."""
        node = self.nodes.get(name)
        if node is None:
            node = self.nodes[name] = NodeState(name, 0)
            node.gone = True
        return node

    def enter(self, names: Names) -> None:
        """A claim more is for these nodes."""
        pool = self.pools.get(names)
        if pool is None:
            pool = self.pools[names] = Pool(None if names is None else frozenset(names))
            for node in self.nodes.values():
                if pool.holds(node.name):
                    pool.resize(0, node.slots)
                    pool.place(node.name, 0 if node.kept_for else node.free)
        pool.claims += 1

    def forsake(self, names: Names) -> None:
        """A claim less is for these nodes."""
        pool = self.pools[names]
        pool.claims -= 1
        if not pool.claims and names is not None:
            del self.pools[names]

    def resize(self, node: NodeState, slots: int) -> None:
        """The node has so many slots now."""
        self.free -= node.free
        for pool in self.pools.values():
            if pool.holds(node.name):
                pool.resize(node.slots, slots)
        self.capacity += slots - node.slots
        node.slots = slots
        self.free += node.free

    def use(self, node: NodeState, slots: int) -> None:
        """So many more of its slots are taken (negative: fewer)."""
        self.free -= node.free
        node.used += slots
        self.used += slots
        self.free += node.free
        self.place(node)

    def place(self, node: NodeState) -> None:
        """What is free of the node, or for whom it is kept, has changed."""
        free = 0 if node.kept_for else node.free
        for pool in self.pools.values():
            if pool.holds(node.name):
                pool.place(node.name, free)


class Room:
    """Free slots as a decision gives them away, without changing the pools."""

    __slots__ = ("_coming", "_left", "_pools", "_touched")

    def __init__(self, pools: dict[Names, Pool]) -> None:
        self._pools = pools
        self._touched: set[str] = set()  # nodes of which slots were given away
        self._left: dict[str, int] = {}  # those of them that have free ones still
        self._coming: dict[tuple[Names, int], Iterator[str]] = {}

    def take(self, key: Names, slots: int) -> str | None:
        """Take slots on the node of the pool that has the fewest free of those that have enough."""
        pool = self._pools[key]
        fitting = [(left, name) for name, left in self._left.items() if left >= slots and pool.holds(name)]
        least, best = min(fitting, default=(0, None))
        for free in sorted(pool.by_free):
            if free < slots:
                continue
            if best is not None and free >= least:
                break
            name = self._untouched(key, free)
            if name is not None:
                least, best = free, name
                break
        if best is not None:
            self._touched.add(best)
            self._left[best] = least - slots
            if least == slots:
                del self._left[best]
        return best

    def _untouched(self, key: Names, free: int) -> str | None:
        coming = self._coming.get((key, free))
        if coming is None:
            coming = self._coming[key, free] = iter(self._pools[key].by_free[free])
        return next((name for name in coming if name not in self._touched), None)
