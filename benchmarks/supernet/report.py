"""docs/supernet.md, made from the rows and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.reports.markdown import span, table
from benchmarks.supernet.rows import Row

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "supernet.md"
TARGETS: Final = {
    "weight step": 0.5,
    "second-order step": 0.5,
    "second-order step, exact": 0.5,
    "retraining step": 0.7,
}
MEMORY: Final = 0.7
_SAID: Final = {
    "reference": "quark0/darts as it is published, run on the CPU",
    "plain": "rung's plain form, which follows quark0/darts operation by operation",
}
_INTRO: Final = """# A step of a search beside the reference

This page is made of the rows in `benchmarks/data/supernet/rows.jsonl` alone:

    python -m benchmarks.supernet            # measures, in some four minutes; --quick: not kept
    python -m benchmarks.supernet report     # this page

The other side is {other}. `RUNG_DARTS` names the folder `cnn` of a copy of it.

Both sides are in one process and take turns, step by step; seconds are the least of all repeats, medians in
brackets, and the ratio is that of the least. Memory is the peak of a process that does nothing else, torch
itself included. C: channels, L: cells, B: pictures of 32 x 32 in a batch. {where}

- **weight step**: forward, backward, clipping, SGD with momentum.
- **first-order step** of the alphas: the validation loss's gradient, Adam.
- **second-order step**: the paper's finite difference (four passes) on both sides. The reference builds its
  model anew; here weights are put in place, and no pass touches the running statistics.
- **exact**: the same hypergradient by a backward pass through the virtual step, which the reference has not;
  beside its finite difference.
- **retraining step**: the network of DARTS_V2 with drop path, no second head.
"""
_HOW: Final = """## What makes it fast

The fused form (`rung.nas.fused`) gives the same losses, gradients and running statistics as the plain one
(1e-10 in double precision, tested). Since all edges that leave a node read the same map,

- the ReLU, each pooling with its normalisation, and the skip are computed once a node, not once an edge;
- the depthwise convolutions of its edges are one convolution, with channels last in memory;
- the last pointwise convolution of an operation, its normalisation and the mixing are *one* convolution: its
  weights follow from mean and covariance of its input (mean W mu, variance diag(W Sigma W^T)). The maps that
  it replaces are never in memory;
- the zero operation is left out;
- what the library's kernels are slow at is put in terms of what they are fast at: the gradient by the weights
  of a dilated convolution on every other pixel, of a wide kernel three columns at a time, of stride 2 by
  parity; the gradient by the input of a dilated one as a convolution with the kernel turned round.

Pruned operations are removed: their rows of the shared weights, and of the optimiser's momentum.

A retrained network (`rung.nas.maps`) makes once what several edges or cells read, ReLUs and poolings, and
drops a path while it adds it.
"""


def write(rows: Sequence[Row], path: Path | None = None) -> Path:
    """Write the page; the same rows give the same bytes."""
    place = path or PAGE
    place.write_text(page(rows), encoding="utf-8", newline="\n")
    return place


def page(rows: Sequence[Row]) -> str:
    """The text."""
    known = sorted(rows, key=lambda row: row.key)
    others = {row.contender for row in known} - {"fused"}
    other = " and ".join(_SAID[name] for name in sorted(others)) or "not measured yet"
    parts = [_INTRO.format(other=other, where=_where(known))]
    if known:
        head = [
            "step",
            "size",
            "threads",
            "reference",
            "rung",
            "ratio",
            "at most",
            "memory",
            "ratio",
            "at most",
        ]
        parts.append(table(head, _lines(known), left=2))
    return "\n".join([*parts, _HOW])


def _where(rows: Sequence[Row]) -> str:
    if not rows:
        return "Nothing has been measured yet."
    versions = ", ".join(sorted({row.torch for row in rows}))
    text = f"{span(row.cores for row in rows)} cores, torch {versions}."
    busy = sum(row.load > row.cores for row in rows)
    if busy:
        text += f"\nIt had more to do than it has cores before {busy} of {len(rows)} rows: only ratios count."
    return text


def _lines(rows: Sequence[Row]) -> list[list[str]]:
    found, order = [], [*TARGETS, "first-order step"]
    own = [row for row in rows if row.contender == "fused"]
    for row in sorted(own, key=lambda row: (-row.threads, row.size, order.index(row.what))):
        for other in rows:
            if other.key[:3] == row.key[:3] and other.contender != "fused":
                found.append(_line(other, row))  # noqa: PERF401  # three levels in one expression
    return found


def _line(other: Row, row: Row) -> list[str]:
    target, memory = TARGETS.get(row.what), ["", "", ""]
    if row.peak is not None and other.peak is not None:
        least = f"{MEMORY:g}" if row.what == "weight step" else ""
        memory = [f"{other.peak:.0f} to {row.peak:.0f} MB", f"{row.peak / other.peak:.2f}", least]
    return [
        row.what,
        row.size,
        str(row.threads),
        f"{other.least:.3f} s ({other.median:.3f})",
        f"{row.least:.3f} s ({row.median:.3f})",
        f"**{row.least / other.least:.2f}**",
        "" if target is None else f"{target:g}",
        *memory,
    ]
