"""Puts all sections into `docs/experiments.md` and its pictures, from the committed rows alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.experiments import experiments
from benchmarks.experiments.rows import ROWS, Row, read
from benchmarks.reports import sections

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"

_INTRODUCTION: Final = """# Experiments

What BOHB's paper (Falkner, Klein, Hutter 2018) and ASHA's (Li et al. 2020) claim, run again, and rung beside
its peers. `make experiments-report` makes this page from the rows in `benchmarks/data/experiments`, and
`make experiments` adds the rows that are missing (`QUICK=1`: the short forms, four minutes together;
`NAMES="svm ahead"`: some of them). Tables of learning curves that were really trained lie in
`benchmarks/data/tables`, with the recipes that made them.

Regret is the true value of the incumbent less the least there is; the incumbent is, for every system alike,
the configuration with the least value seen at the largest resource that gave any. Workers and durations are
simulated, by the seconds that the recorded trainings took.
"""


def write(folder: Path = DOCS, rows: Mapping[str, Sequence[Row]] | None = None) -> list[Path]:
    """Write the page and its pictures; the same rows give the same bytes.

    Returns:
        The paths written. Pictures that no section has any more are removed.
    """
    found = {name: read(ROWS / f"{name}.jsonl") for name in experiments()} if rows is None else rows
    images = folder / "images" / "experiments"
    images.mkdir(parents=True, exist_ok=True)
    pages = [section.make(found) for section in sections().values()]
    pictures = {name: text for page in pages for name, text in page.pictures.items()}
    for path in images.glob("*.svg"):
        if path.name not in pictures:
            path.unlink()
    written = [folder / "experiments.md"]
    text = "\n\n".join([_INTRODUCTION.strip(), _run(found), *(page.text for page in pages if page.text)])
    written[0].write_text(text + "\n")
    for name, picture in pictures.items():
        written.append(images / name)
        written[-1].write_text(picture)
    return written


def _run(rows: Mapping[str, Sequence[Row]]) -> str:
    """How much was run, and on what."""
    every = [row for many in rows.values() for row in many]
    hours = sum(row.wall for row in every) / 3600
    missing = [name for name, many in rows.items() if not many]
    text = (
        f"{len(every):,} searches, {hours:.1f} hours of computing together, on two shared cores of a virtual "
        "machine with CPython 3.11, one thread each; recordings of tables ran beside, so seconds to decide "
        "are upper bounds: compare them within the page."
    )
    return text + (f" Without rows yet: {', '.join(missing)}." if missing else "")
