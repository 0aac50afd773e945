"""Which process of a worker counts: the one that registered last under its user's and its own name."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from rung.errors import ConflictError

_MOST: Final = 10_000  # processes that are remembered, and names


class Life(NamedTuple):
    """One process of a worker, from its start to its end, however often it registers.

    Attributes:
        owner: the user whose token it shows.
        name: the worker's.
        run: drawn at random when the process starts; "": it did not say.
    """

    owner: str
    name: str
    run: str

    def follows(self, other: Life) -> bool:
        """Whether it is a later process of the same worker than `other`, which registered before."""
        return bool(self.run and other.run) and self != other and self[:2] == other[:2]


class Lives:
    """The processes of a service's workers, as far as they registered since it was started."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Life] = {}  # by owner and name
        self._past: dict[Life, None] = {}  # those that another followed

    def begin(self, life: Life) -> None:
        """A worker registers, for the first time or again.

        Raises:
            ConflictError: another process has taken its name since: both would lose their jobs in turn.
        """
        if life in self._past:
            raise ConflictError(
                f"another process has registered as worker {life.name!r} since: this one lends nothing any "
                "more; give workers that run at once names of their own"
            )
        before = self._last.pop((life.owner, life.name), None)
        if before is not None and life.follows(before):
            self._past[before] = None
        self._last[life.owner, life.name] = life
        _bound(self._last)
        _bound(self._past)


def _bound(known: dict[Any, Any]) -> None:
    if len(known) > _MOST:
        del known[next(iter(known))]  # the oldest
