"""A study among those that share workers: what it wants, holds, got, and should have got."""

from __future__ import annotations

import math
from typing import NamedTuple

from rung.cluster.sharing_events import Claim, Policy
from rung.cluster.sharing_nodes import Pool, TaskState

SLACK = 1e-9  # of shares that are sums of fractions


class Account(NamedTuple):
    """What became of a study's share over its life, in slot-seconds.

    Attributes:
        got: slots held, over time.
        due: its ideal, over time, as far as slots were in use.
        owed: what it is to be made up for (negative: pays back), which is bounded.
    """

    got: float = 0.0
    due: float = 0.0
    owed: float = 0.0


class Share:
    """A study among those that share: what it wants, holds and is owed (slot-seconds)."""

    __slots__ = (
        "_past",
        "claim",
        "held",
        "ideal",
        "kept",
        "leaving",
        "left",
        "most",
        "order",
        "reach",
        "served",
        "short",
        "since",
        "tasks",
        "theta",
    )

    def __init__(self, claim: Claim, order: int, time: float, theta: float) -> None:
        self.claim = claim
        self.order = order  # of arrival: the older of equals comes first
        self.held = 0  # slots
        self.leaving = 0  # of them, those whose job was asked to stop
        self.most = 0.0  # that it could use
        self.ideal = 0.0
        self.reach = math.inf  # bound of what is owed; not known before it has an ideal
        self.since = time
        self.theta = theta
        self.served = time  # when it last got a job, or began to wait
        self.short: float | None = None  # since when it lacks a whole job of its ideal
        self.left = False
        self.tasks: dict[int, TaskState] = {}
        self.kept: list[str] = []  # nodes that are kept for its gangs
        self._past = Account()  # until `since`

    @property
    def staying(self) -> int:
        return self.held - self.leaving

    def account(self, time: float, theta: float) -> Account:
        """What became of it until now."""
        past = self._past
        got, due = self.held * (time - self.since), self.ideal * (theta - self.theta)
        owed = max(-self.reach, min(self.reach, past.owed + due - got))
        return Account(past.got + got, past.due + due, owed)

    def owed(self, time: float, theta: float) -> float:
        """Slot-seconds that it got too few until now; negative: too many."""
        return self.account(time, theta).owed

    def settle(self, time: float, theta: float) -> None:
        """Note what became of it until now, before what it holds or its ideal changes."""
        if time > self.since:
            self._past = self.account(time, theta)
            self.since, self.theta = time, theta

    def remember(self, past: Account, time: float, theta: float) -> None:
        """This became of it before."""
        self._past, self.since, self.theta = past, time, theta

    def target(self, policy: Policy, time: float, theta: float) -> float:
        """The slots that it should hold now: its ideal, and what makes up for its past."""
        ideal, gang = self.ideal, self.claim.gang
        back = max(-ideal, min(max(ideal, gang), self.owed(time, theta) / policy.horizon))
        return max(ideal + back, self.floor(policy))

    def floor(self, policy: Policy) -> float:
        """The slots under which it is not pushed to pay back; 0 where that is less than one job's."""
        floor = policy.floor * self.ideal
        return floor if floor >= self.claim.gang else 0.0

    def note(self, time: float) -> None:
        """Note whether it lacks a whole job of its ideal, after what it holds or its ideal has changed."""
        lacks = self.claim.waiting > 0 and self.staying + self.claim.gang <= self.ideal + SLACK
        if not lacks:
            self.short = None
        elif self.short is None:
            self.short = time

    def waited(self, time: float) -> float:
        """Seconds for which it has waited: for any job, or with less than its ideal."""
        return time - (self.served if self.short is None else min(self.served, self.short))

    @property
    def may_grow(self) -> bool:
        """Whether it waits for a job and one more keeps it within its maximum."""
        claim = self.claim
        return claim.waiting > 0 and (claim.maximum is None or self.held + claim.gang <= claim.maximum)

    @property
    def room(self) -> int:
        """Jobs that it waits for and that keep it within its maximum."""
        claim = self.claim
        if claim.maximum is None:
            return claim.waiting
        return max(0, min(claim.waiting, (claim.maximum - self.held) // claim.gang))

    def usable(self, pool: Pool) -> int:
        """Slots that it could use on these nodes, within its maximum."""
        claim = self.claim
        usable = pool.capacity(claim.gang) if claim.waiting else 0
        most = min(self.held + claim.waiting * claim.gang, max(self.held, usable))
        return most if claim.maximum is None else min(most, claim.maximum)
