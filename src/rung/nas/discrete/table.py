"""The discrete strategies by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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
