"""A benchmark's figures as rows, printed as a table or as JSON."""

from __future__ import annotations

import json
from typing import NamedTuple


class Row(NamedTuple):
    """One figure beside its target and, where a peer does the same, the peer's in the same run."""

    what: str
    figure: float
    unit: str
    target: float | None = None
    peer: str = ""
    peer_figure: float | None = None
    at_least: bool = False  # more is better

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.figure >= self.target if self.at_least else self.figure <= self.target


def show(rows: list[Row], *, as_json: bool = False) -> str:
    """The rows as text: one JSON object a line, or an aligned table."""
    if as_json:
        return "\n".join(json.dumps({**row._asdict(), "met": row.met}) for row in rows)
    width = max(len(row.what) for row in rows)
    lines = [f"{'what':{width}}  {'figure':>12} {'unit':<12} {'target':>12}  met   peer"]
    for row in rows:
        sign = ">=" if row.at_least else "<="
        target = "" if row.target is None else f"{sign} {row.target:,.6g}"
        met = {True: "yes", False: "NO", None: ""}[row.met]
        peer = f"{row.peer} {row.peer_figure:,.4g}" if row.peer_figure is not None else row.peer
        lines.append(f"{row.what:{width}}  {row.figure:12,.4g} {row.unit:<12} {target:>12}  {met:<4}  {peer}")
    return "\n".join(lines)
