"""Rows of the supernet's benchmark: JSON lines, one a contender's step."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

ROWS: Final = Path(__file__).resolve().parents[1] / "data" / "supernet" / "rows.jsonl"


class Row(NamedTuple):
    """What one contender's step cost.

    Attributes:
        what: the step.
        size: channels, layers and batch, such as "C16 L8 B8".
        threads: of torch.
        contender: "reference" (quark0/darts), "plain" (the same by rung) or "fused".
        least, median: seconds of a step, over `repeats` that took turns with the others'.
        peak: most memory of a process that does nothing else, in MB; None where it was not measured.
        load: of the machine before; `cores`: those there were.
    """

    what: str
    size: str
    threads: int
    contender: str
    least: float
    median: float
    repeats: int
    peak: float | None
    load: float
    cores: int
    torch: str

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What tells a row from all others."""
        return self.what, self.size, self.threads, self.contender


def read(path: Path = ROWS) -> list[Row]:
    """All rows."""
    if not path.exists():
        return []
    return [Row(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def write(rows: Iterable[Row], path: Path = ROWS) -> None:
    """These rows in place of those of the same steps; others stay."""
    known = {row.key: row for row in [*read(path), *rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(known[key]._asdict()) + "\n" for key in sorted(known))
    path.write_text(text, encoding="utf-8", newline="\n")
