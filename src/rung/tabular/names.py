"""Names that a person may have meant: the closest of those that exist, for messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """At most `count` of the known names that are spelled most like `name`, best first; letters' case is
    ignored.
    """
    by_lower = {k.lower(): k for k in known}
    return [by_lower[k] for k in get_close_matches(name.lower(), by_lower, n=count, cutoff=0.5)]


def listed(names: Iterable[str], join: str = "or", limit: int = 12) -> str:
    """`a, b or c`; of more than `limit` names the first ones and how many there are besides."""
    words = list(names)
    if len(words) > limit:
        return ", ".join(words[:limit]) + f" and {len(words) - limit} more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {join} {words[-1]}" if words else "none"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The sentence's end that helps: the closest names, or all there are when none is close."""
    every = list(known)
    near = closest(name, every)
    return f"did you mean {listed(near)}?" if near else f"there is {listed(every, 'and')}"
