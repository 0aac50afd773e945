"""How scores are written: as many places as their size asks for, the same ones for all that stand together.

A score has the target's unit, which may be a millionth of a metre or a nation's debt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

PLACES: Final = 5  # of what lies between a tenth and a hundred
SMALL: Final = 1e-4  # below this size, and from
LARGE: Final = 1e9  # on, powers of ten are shorter
NOISE: Final = 1e-12  # below this size nothing is told from zero beside what is larger
_POWERS: Final = ".4e"


def score_form(scores: Iterable[float | None]) -> str:
    """The format of scores that stand together, by the usual size among them: an outlier's would leave no
    digits for the others.
    """
    finite = sorted(abs(x) for x in scores if x is not None and math.isfinite(x) and x)
    if not finite:
        return f"z,.{PLACES}f"
    usual = finite[(len(finite) - 1) // 2]
    if not SMALL <= usual < LARGE:
        return _POWERS
    power = math.floor(math.log10(usual))
    return f"z,.{max(1, PLACES - max(power - 1, 0) + max(-1 - power, 0))}f"


def score_text(score: float | None, form: str | None = None, none: str = "–") -> str:
    """The score in words; `none` where there is none, or it is not defined. Two digits of its own where the
    neighbours' places would show zeros alone.

    Args:
        form: `score_form` of it and its neighbours; of it alone unless given.
    """
    if score is None or math.isnan(score):
        return none
    text = format(score, score_form([score]) if form is None else form)
    lost = abs(score) > NOISE and not text.strip("-0.")
    return f"{score:.2g}" if lost else text
