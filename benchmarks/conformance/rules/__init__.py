"""The rules, by what they are about."""

from __future__ import annotations

from typing import Final

from benchmarks.conformance.rule import Rule
from benchmarks.conformance.rules import (
    densities,
    halving,
    ladders,
    populations,
    spread,
    stopping,
    studies,
    surrogates,
)

RULES: Final[tuple[Rule, ...]] = (
    *ladders.RULES,
    *halving.RULES,
    *stopping.RULES,
    *spread.RULES,
    *densities.RULES,
    *surrogates.RULES,
    *populations.RULES,
    *studies.RULES,
)
