"""The discrete strategies by name, and one from its name and settings."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final, Literal

from rung.errors import UserError
from rung.nas.discrete.bananas import Bananas
from rung.nas.discrete.evolution import Evolution
from rung.nas.discrete.history import Suggests
from rung.nas.discrete.pnas import Pnas
from rung.nas.discrete.random_retraining import RandomRetraining
from rung.nas.discrete.reinforce import Reinforce

DISCRETE: Final[Mapping[str, Suggests]] = MappingProxyType(
    {
        "random_retraining": RandomRetraining(),
        "evolution": Evolution(),
        "reinforce": Reinforce(),
        "pnas": Pnas(),
        "bananas": Bananas(),
    }
)


def fitted(
    name: str, settings: Mapping[str, Any], networks: int, nodes: int, workers: int = 1
) -> dict[str, Any]:
    """The settings, with what was not set fitted to so few networks: each strategy comes to its own.

    Args:
        networks: how many are trained in all.
        nodes: of the largest cell.
        workers: how many are trained at a time.
    """
    third = max(networks // 3, 2)
    own: dict[str, dict[str, Any]] = {
        "evolution": {"population": min(Evolution.population, third)},
        "bananas": {"first": min(Bananas.first, third)},
    }
    if name == "pnas":
        own["pnas"] = _growth(settings, networks, nodes, workers)
    return {**own.get(name, {}), **settings}


def _growth(settings: Mapping[str, Any], networks: int, nodes: int, workers: int) -> dict[str, Any]:
    """Beam and step of a progressive search: the least step with which cells grow to the whole space.

    A beam of two, which a predictor can learn from, comes before a small step.
    """
    found = []
    for step in [settings["step"]] if "step" in settings else range(1, max(nodes, 2)):
        stages = len(Pnas(step=step).sizes(nodes))
        beam = settings.get("beam", min(Pnas.beam, max(networks // (stages + 1), 1)))
        late = Pnas(beam, step=step).needed(nodes, workers) > networks
        found.append((late, beam < 2, step, beam))
    *_, step, beam = min(found)
    return {"beam": beam} if step == 1 else {"beam": beam, "step": step}


def make(name: str, settings: Mapping[str, Any] | None = None) -> Suggests:
    """A strategy with these settings; those that are not given have their defaults.

    Args:
        name: in `DISCRETE`.
        settings: its fields by name: whole numbers of at least 1, shares above 0, or words.

    Raises:
        UserError: there is no such setting, or a value is not of its kind.
    """
    kind: Any = type(DISCRETE[name])
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for setting, value in (settings or {}).items():
        if setting not in [field.name for field in fields(kind)]:
            own = ", ".join(field.name for field in fields(kind)) or "none"
            raise UserError(f"strategy {name!r} has no setting {setting!r}: it has {own}")
        if typing.get_origin(hints[setting]) is Literal:
            values[setting] = _word(name, setting, value, typing.get_args(hints[setting]))
            continue
        whole = hints[setting] is int
        right = isinstance(value, int) if whole else isinstance(value, int | float)
        if isinstance(value, bool) or not right or not (value >= 1 if whole else 0 < value < 1):
            what = "a whole number of at least 1" if whole else "a number above 0 and below 1"
            raise UserError(f"{setting} of strategy {name!r} is {what}, not {value!r}")
        values[setting] = value if whole else float(value)
    made: Suggests = kind(**values)
    return made


def _word(name: str, setting: str, value: Any, words: tuple[str, ...]) -> str:
    if value not in words:
        raise UserError(f"{setting} of strategy {name!r} is {' or '.join(words)}, not {value!r}")
    return str(value)
