"""Members of a population: trials with the results by which they are compared.

A trial stands by its latest result, the one at its largest fidelity. One that reached a larger fidelity
stands before all that did not (its scheduler chose it among others to go on); at the same fidelity the
smaller loss stands first. With several objectives that loss is the place in the non-dominated sorting of the
members there (NSGA-II, Deb et al. 2002); a result that breaks a constraint stands behind all that break none.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import numpy as np

from rung.samplers.observed import places
from rung.trials.history import Result


def ranked(members: Iterable[Result]) -> list[Result]:
    """The members, best first; the older trial first among equal ones."""
    order = sorted(members, key=_standing)
    if not order or order[0].measure is None or len(order[0].measure.vector) < 2:
        return order
    found: list[Result] = []
    for _, level in groupby(order, key=_fidelity):
        found.extend(_by_place(list(level)))
    return found


def _by_place(members: list[Result]) -> list[Result]:
    """Members at one fidelity in the order of their places."""
    measures = [member.measure for member in members if member.measure is not None]
    losses = places(np.array([m.vector for m in measures]), np.array([m.violation for m in measures]))
    return [members[i] for i in np.argsort(losses, kind="stable").tolist()]


def _standing(member: Result) -> tuple[int, float, int]:
    return -member.resource, member.value, member.trial


def _fidelity(member: Result) -> int:
    return member.resource
