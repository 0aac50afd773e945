"""docs/experiments.md and its pictures, made from the rows that are there and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.experiments import experiments
from benchmarks.experiments.rows import ROWS, Row, read
from benchmarks.reports import sections
from benchmarks.reports.markdown import minutes

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
_INTRO: Final = """# Experiments

What the papers on BOHB ([Falkner et al. 2018](https://arxiv.org/abs/1807.01774)) and ASHA
([Li et al. 2018](https://arxiv.org/abs/1810.05934)) claim, run again, and rung beside its peers on problems
that were fixed beforehand. This page and its pictures are made of the rows in `benchmarks/data/experiments`
alone, a search each:

    make experiments QUICK=1        # short forms of all, some minutes; their rows are not kept
    make peers                      # environments of the peers
    make experiments                # the full forms; what is there is not run again
    make experiments-report         # this page

{ran}

All searches run on a virtual clock: a job takes the time that its training took when its table was recorded,
or that its resource stands for, and any number of workers needs one core. What counts as a system's result is
its incumbent: the configuration with the least observed value at the largest resource that gave any. Regret
is that configuration's true value less the best there is; the system never sees it. Deciding is
the system's own processor time, without the problem's and without starting a peer.
"""


def write(folder: Path = DOCS, rows: Mapping[str, Sequence[Row]] | None = None) -> list[Path]:
    """Write the page and its pictures; the same rows give the same bytes.

    Returns:
        The paths written. Pictures that no section has any more are removed.
    """
    known = {name: read(ROWS / f"{name}.jsonl") for name in experiments()} if rows is None else rows
    text, pictures = document(known)
    images = folder / "images" / "experiments"
    images.mkdir(parents=True, exist_ok=True)
    for old in images.glob("*.svg"):
        if old.name not in pictures:
            old.unlink()
    files = {folder / "experiments.md": text} | {images / name: drawn for name, drawn in pictures.items()}
    for path, content in files.items():
        path.write_text(content, encoding="utf-8", newline="\n")
    return list(files)


def document(rows: Mapping[str, Sequence[Row]]) -> tuple[str, dict[str, str]]:
    """The text, and the pictures by file name."""
    parts = [_INTRO.format(ran=_ran(rows))]
    pictures: dict[str, str] = {}
    for section in sections().values():
        page = section.make(rows)
        parts.append(page.text)
        pictures |= page.pictures
    return "\n".join(parts), pictures


def _ran(rows: Mapping[str, Sequence[Row]]) -> str:
    """How much ran, and on what."""
    every = [row for found in rows.values() for row in found]
    seconds = sum(row.wall for row in every)
    return (
        f"{len(every):,} searches are there, {minutes(seconds)} of wall time in all. They ran on two shared\n"
        "cores of a virtual machine with Linux and CPython 3.11, one thread a search, while other work ran\n"
        "beside them: wall times say how long it took there, not what a search needs. Lines that leave a\n"
        "picture at its bottom go on below."
    )
