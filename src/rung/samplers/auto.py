"""The sampler that a study without a named one has: what to use is chosen, and chosen anew, by the study.

The choice is an event in the log (topic `TOPIC`), made by `rung.study.choose` from what the study is and
from what an evaluation and a suggestion were measured to cost; this sampler does what the latest one says.
So replaying a log takes the same decisions on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from rung.trials.events import Spec

if TYPE_CHECKING:
    from rung.samplers.base import Request, Sampler, Suggestion
    from rung.space.compiled import CompiledSpace
    from rung.space.draws import Rng
    from rung.trials.history import History

TOPIC: Final = "choice"  # under which the log keeps choices: a sampler's name and settings, and why
BEFORE: Final = Spec("kde")  # before any choice, as where a history is made by hand


@dataclass(frozen=True)
class AutoSampler:
    """Asks the sampler that the log says was chosen last."""

    def suggest(
        self, space: CompiledSpace, history: History, request: Request, rng: Rng
    ) -> Suggestion | None:
        """The chosen sampler's configuration, with that sampler's name as its origin."""
        return _made(_key(chosen(history))).suggest(space, history, request, rng)


def chosen(history: History) -> Spec:
    """The sampler that was chosen last."""
    for record in reversed(history.records.get(TOPIC, ())):
        sampler = record.data.get("sampler")
        if sampler is not None:
            return Spec(sampler, record.data.get("settings", {}))
    return BEFORE


def _key(spec: Spec) -> bytes:
    return msgspec.msgpack.encode(spec)


@lru_cache(maxsize=32)
def _made(spec: bytes) -> Sampler:
    from rung.samplers import make_sampler

    return make_sampler(msgspec.msgpack.decode(spec, type=Spec))
