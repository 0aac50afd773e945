"""The ladder of rungs, and the sizes of Hyperband's brackets: tables of whole numbers, no logarithm.

Rungs are r, r eta, r eta^2, ... by multiplication, and the last that is not above R is R itself. If R is
r eta^k these are the papers' rungs exactly. If not (r = 1, R = 100, eta = 3), the ladder still starts at r
and ends at R (1, 3, 9, 27, 100), and only the highest step is wider than eta. One ladder serves all
schedulers, so that their results can be compared. If r eta > R there is one rung, R.
"""

from __future__ import annotations

from rung.errors import StudyError
from rung.trials.events import Identity


def ladder(minimum: int, maximum: int, eta: int) -> tuple[int, ...]:
    """The rungs from `minimum` (r) to `maximum` (R), each at least `eta` times the one below.

    Raises:
        StudyError: not 1 <= r <= R, or eta below 2.
    """
    if not 1 <= minimum <= maximum:
        raise StudyError(f"a resource must have 1 <= smallest <= largest, not {minimum} and {maximum}")
    if eta < 2:
        raise StudyError(f"eta must be at least 2, not {eta}: the best one in eta of each rung goes on")
    rungs = [minimum]
    while rungs[-1] * eta <= maximum:
        rungs.append(rungs[-1] * eta)
    rungs[-1] = maximum
    return tuple(rungs)


def ladder_of(identity: Identity) -> tuple[int, ...]:
    """The rungs of a study; one without a resource has the single rung 1."""
    resource = identity.resource
    return ladder(resource.minimum, resource.maximum, identity.eta) if resource else (1,)


def bracket_size(levels: int, s: int, eta: int) -> int:
    """Configurations that Hyperband's bracket s starts: ceil((s_max + 1) / (s + 1) * eta^s).

    `levels` is s_max + 1, the number of rungs. (Li et al. 2018, Algorithm 1, line 2.)
    """
    power: int = eta**s
    return -(-levels * power // (s + 1))


def shrink(size: int, rungs: int, eta: int) -> tuple[int, ...]:
    """Trials at each of `rungs` rungs of successive halving: size, floor(size / eta), ..."""
    return tuple(size // eta**i for i in range(rungs))
