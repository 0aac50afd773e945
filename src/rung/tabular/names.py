"""Names that a person may have meant: the closest of those that exist, for messages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_PART: Final = re.compile(r'(?:\s*"(?:[^"]|"")*")?[^,]*')  # what stands in double quotes may have commas


def as_names(given: object) -> tuple[str, ...]:
    """Names as texts, as a table's columns have them here (`frames.as_pandas`); one alone is one.

    Args:
        given: a name, or some.
    """
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    return tuple(str(name) for name in several)


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


def parts_between_commas(text: str) -> list[str]:
    """The parts of `a,"b,c"`, as they are written; empty ones are left out."""
    return [part.strip() for part in _PART.findall(text) if part.strip()]


def unquoted(part: str) -> str:
    """The name that a part is: of `"b,c"` what stands in the double quotes, two of which are one."""
    if len(part) >= 2 and part[0] == part[-1] == '"':
        return part[1:-1].replace('""', '"')
    return part


def quoted(name: str) -> str:
    """The name as a part between commas: in double quotes where it is not read back without them."""
    if parts_between_commas(name) == [name] and unquoted(name) == name:
        return name
    return '"' + name.replace('"', '""') + '"'


def no_column(name: str, known: Iterable[str]) -> str:
    """That the table has no such column, as a sentence: it may be a part of a name that has commas."""
    every = list(known)
    whole = [one for one in every if "," in one and name in parts_between_commas(one)]
    if whole:
        return (
            f"the table has no column {name!r}, but {whole[0]!r}: among several a name with a comma stands "
            f"in double quotes, within single ones ('{quoted(whole[0])}')"
        )
    return f"the table has no column {name!r}; {did_you_mean(name, every)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The sentence's end that helps: the closest names, or all there are when none is close."""
    every = list(known)
    near = closest(name, every)
    return f"did you mean {listed(near)}?" if near else f"there is {listed(every, 'and')}"
