"""What a sampler is: frozen settings and one pure method that proposes a configuration."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.space.values import Values
from rung.trials.events import Origin
from rung.trials.history import History


class Request(NamedTuple):
    """What the configuration is for: how far it will run first, in which bracket, from which parent."""

    resource: int
    bracket: int = 0
    parent: int | None = None


class Suggestion(NamedTuple):
    values: Values
    origin: Origin


class Sampler(Protocol):
    """Proposes configurations from the observations so far.

    A sampler is a frozen dataclass of settings. It knows no scheduler. If it learns as it goes it has
    `initial` and `fold` too (see `rung.trials.history.Folding`), and reads `history.sampler`.
    """

    def suggest(
        self, space: CompiledSpace, history: History, request: Request, rng: Rng
    ) -> Suggestion | None:
        """The next configuration, a legal one, or None when there is none left (a grid's end)."""
