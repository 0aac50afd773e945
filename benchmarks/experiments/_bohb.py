"""What BOHB's experiments (Falkner et al. 2018, section 5) have in common: their systems and claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim
from benchmarks.experiments.judging import Said, ahead, at_share, group, not_behind
from benchmarks.experiments.rows import Row

SYSTEMS: Final = ("rung random", "rung hyperband", "rung tpe", "rung gp", "rung bohb", "rung")
EARLY: Final = 0.1  # of the budget


def early_lead(rows: Sequence[Row], section: str, models: tuple[str, ...] = ("rung tpe", "rung gp")) -> Claim:
    """Hyperband and BOHB over the models, when a tenth of the budget is spent."""
    said = Said(
        "early on Hyperband and BOHB are ahead of model-based methods that see full budgets only",
        f"BOHB, {section}",
    )
    cheap = group("rung hyperband", "rung bohb", at=at_share(EARLY))
    return ahead(said, rows, cheap, group(*models, at=at_share(EARLY)))


def as_early(rows: Sequence[Row], section: str) -> Claim:
    """BOHB as fast as Hyperband at the beginning."""
    said = Said("at the beginning BOHB is not behind Hyperband", f"BOHB, {section}")
    bohb = group("rung bohb", at=at_share(EARLY))
    return not_behind(said, rows, bohb, group("rung hyperband", at=at_share(EARLY)))


def final_lead(rows: Sequence[Row], section: str, over: str = "hyperband", where: str = "") -> Claim:
    """BOHB over another of rung's methods with all of the budget spent."""
    names = {"hyperband": "Hyperband", "random": "random search", "tpe": "TPE", "gp": "a Gaussian process"}
    said = Said(f"in the end BOHB is ahead of {names[over]}{where}", f"BOHB, {section}")
    return ahead(said, rows, group("rung bohb"), group(f"rung {over}"))
