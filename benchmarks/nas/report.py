"""`docs/search_experiments.md` and its pictures, from the rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.nas.pictures import FULL, current
from benchmarks.nas.remedies import cured_table
from benchmarks.nas.rows import Row, path_of, read
from benchmarks.reports.drawing import COLOURS, Axis, Curve, Panel, draw
from benchmarks.reports.markdown import number, table

PAGE: Final = Path(__file__).parents[2] / "docs" / "search_experiments.md"

PICTURE: Final = "images/search-stages.svg"
_COLOURS: Final = dict(
    zip(("asap", "darts1", "darts", "snas", "random", "random-cell"), COLOURS, strict=False)
)

_HEAD: Final = """# Architecture searches beside each other

Made by `python -m benchmarks.nas report` from the rows in `benchmarks/data/nas`, which
`python -m benchmarks.nas run` writes: what has a row is not run again. Two cores, with more or less other
work, not alike for all rows: seconds compare only roughly, multiply-adds are exact. Figures are means and
standard deviations over seeds; p is that of the exact two-sided sign-flip test over paired seeds, which with
three pairs cannot be under 0.25: these tables show sizes of effects, not proofs.
"""


class Claim(NamedTuple):
    """A claim of a paper, what was measured, and whether it holds here."""

    claimed: str
    measured: str
    verdict: str


def write(out: Path | None = None) -> str:
    """Write the page, and its picture into `images` beside it; says where."""
    path = out or PAGE
    (path.parent / "images").mkdir(exist_ok=True)
    (path.parent / PICTURE).write_text(picture(read(path_of("cifar"))))
    rows = {name: read(path_of(name)) for name in ("cifar", "transfer", "text", "s2")}
    path.write_text(page(rows["cifar"], rows["transfer"], rows["text"], rows["s2"]))
    return f"{path.name}: written"


def page(
    cifar: Sequence[Row], transfer: Sequence[Row], text: Sequence[Row], cures: Sequence[Row] = ()
) -> str:
    """The page as text."""
    parts = [_HEAD]
    if cifar:
        parts.append(_pictures(cifar))
    if transfer := current(transfer, cifar):
        parts.append(_transfer(transfer))
    if text:
        parts.append(_text(text))
    if cures:
        parts.append(cured_table(cures))
    parts.append(_claims(claims(cifar, text)))
    return "\n".join(parts)


def _of(rows: Sequence[Row], what: str, name: str) -> dict[int, float]:
    """By seed, a figure of the rows of one kind."""
    return {r["seed"]: float(r[name]) for r in rows if r["what"] == what and r.get(name) is not None}


def _spread(values: Sequence[float], digits: int = 4) -> str:
    array = np.asarray(values)
    if not len(array):
        return ""
    spread = array.std(ddof=1) if len(array) > 1 else 0.0
    return f"{array.mean():.{digits}f} ± {spread:.{digits}f}"


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _paired(rows: Sequence[Row], first: str, second: str, name: str = "error") -> tuple[float, float, int]:
    """Mean difference first - second over common seeds, p, and how many."""
    from rung.nas.comparing import sign_flip

    a, b = _of(rows, first, name), _of(rows, second, name)
    pairs = [a[seed] - b[seed] for seed in a if seed in b]
    return (float(np.mean(pairs)) if pairs else float("nan")), sign_flip(pairs), len(pairs)


def _names(rows: Sequence[Row], figure: str) -> list[str]:
    names = dict.fromkeys(row["what"] for row in rows)
    return sorted(names, key=lambda name: float(np.mean(list(_of(rows, name, figure).values()))))


def _pictures(rows: Sequence[Row]) -> str:
    lines = []
    for name in _names(rows, "error"):
        errors = list(_of(rows, name, "error").values())
        gap, macs = _mean(list(_of(rows, name, "gap_outputs").values())), _of(rows, name, "multiply_adds")
        difference, p, pairs = _paired(rows, name, "random-cell")
        own = name != "random-cell" and pairs
        lines.append(
            [
                f"`{name}`",
                str(len(errors)),
                _spread(errors),
                f"{min(errors):.4f}",
                f"{np.mean(list(_of(rows, name, 'parameters').values())):,.0f}",
                f"{np.mean(list(macs.values())) / 1e12:.2f}" if name != "random-cell" else "0",
                f"{np.mean(list(_of(rows, name, 'seconds').values())):.0f} s"
                if name != "random-cell"
                else "0",
                _shares(rows, name),
                "" if gap is None else number(gap),
                f"{difference:+.4f}" if own else "",
                f"{p:.2f}" if own else "",
            ]
        )
    head = [
        "strategy",
        "seeds",
        "test error",
        "best",
        "parameters",
        "search, 10^12 multiply-adds",
        "seconds",
        "accuracy searched / derived",
        "gap of outputs",
        "to a random cell",
        "p",
    ]
    s = FULL
    return (
        "## CIFAR-10\n"
        f"{s.train:,} training pictures scaled to {s.size} x {s.size}, half for weights and half for alphas; "
        f"{s.channels} channels, {s.layers} cells, {s.epochs} epochs of batches of {s.batch}; what is found "
        f"is trained from scratch on all of them, alike ({s.retrain_channels} channels, {s.retrain_layers} "
        f"cells, {s.retrain_epochs} epochs), and tested on {s.test:,} others. `random-cell` is one drawn by "
        "lot and trained in the same way: what any search must beat.\n\n"
        + table(head, lines)
        + f"\n![Accuracy as searched, as derived, and retrained; test error by seed]({PICTURE})\n"
    )


def picture(rows: Sequence[Row]) -> str:
    """Accuracy at three stages (the relaxation bias of DARTS' and ASAP's papers), and test error by seed."""
    stages, errors = [], []
    for name, colour in _COLOURS.items():
        by_seed = _of(rows, name, "error")
        if not by_seed:
            continue
        seeds = np.array(sorted(by_seed), dtype=float)
        errors.append(Curve(name, colour, seeds, np.array([by_seed[int(seed)] for seed in seeds])))
        shares = [_mean(list(_of(rows, name, key).values())) for key in ("searched", "derived")]
        known = [value for value in shares if value is not None]
        if len(known) == 2:
            known.append(1.0 - float(np.mean(list(by_seed.values()))))
            stages.append(Curve(name, colour, np.array([1.0, 2.0, 3.0]), np.array(known)))
    axis = Axis("1 searched, 2 derived, 3 retrained", ticks=(1.0, 2.0, 3.0))
    by = Axis("seed", ticks=tuple(sorted({float(x) for curve in errors for x in curve.x})))
    return draw(
        [
            Panel("What is left of the accuracy", axis, Axis("accuracy"), tuple(stages)),
            Panel("Test error after training from scratch", by, Axis("error"), tuple(errors)),
        ]
    )


def _shares(rows: Sequence[Row], name: str) -> str:
    searched, derived = (_mean(list(_of(rows, name, key).values())) for key in ("searched", "derived"))
    return "" if searched is None or derived is None else f"{searched:.3f} / {derived:.3f}"


def _transfer(rows: Sequence[Row]) -> str:
    lines = []
    for name in _names(rows, "error"):
        errors = list(_of(rows, name, "error").values())
        lines.append([f"`{name}`", str(len(errors)), _spread(errors)])
    lines.sort(key=lambda line: (line[0].split(" on ")[1], line[2]))
    return (
        "## The cells on other data\nThe cells of the table above, trained from scratch on scikit-learn's "
        "digits (8 x 8) and on five classes of CIFAR-10 alone.\n\n"
        + table(["cell", "seeds", "test error"], lines)
    )


def _text(rows: Sequence[Row]) -> str:
    lines = []
    for name in _names(rows, "perplexity"):
        values = list(_of(rows, name, "perplexity").values())
        seconds = _mean(list(_of(rows, name, "seconds").values())) or 0.0
        gap = _mean(list(_of(rows, name, "gap_outputs").values()))
        difference, p, pairs = _paired(rows, name, "lstm", "perplexity")
        own = name != "lstm" and pairs
        lines.append(
            [
                f"`{name}`",
                str(len(values)),
                _spread(values, 1),
                f"{np.mean(list(_of(rows, name, 'parameters').values())):,.0f}",
                f"{seconds:.0f} s" if seconds else "0",
                "" if gap is None else number(gap),
                f"{difference:+.1f}" if own else "",
                f"{p:.2f}" if own else "",
            ]
        )
    head = ["cell", "seeds", "test perplexity", "parameters", "search", "gap of outputs", "to the LSTM", "p"]
    return (
        "## Recurrent cells\nWikiText-2's validation text: 60,000 words to learn from, 1,000 words of "
        "vocabulary, preset `tiny`; every cell is trained from scratch in the same way. `published` is "
        "DARTS' second-order cell, `random-cell` one drawn by lot, `lstm` an LSTM of as many parameters.\n\n"
        + table(head, lines)
    )


def claims(cifar: Sequence[Row], text: Sequence[Row]) -> list[Claim]:
    """The papers' claims beside what was measured."""
    found = []
    cost = {
        name: _mean(list(_of(cifar, name, "multiply_adds").values())) for name in ("asap", "darts1", "darts")
    }
    if all(cost.values()):
        first, second = (cost["asap"] / cost[name] for name in ("darts1", "darts"))  # type: ignore[operator]
        found.append(
            Claim(
                "ASAP's search costs a fraction of DARTS' (0.2 against 1.5 and 4 GPU days)",
                f"{first:.2f} of first-order DARTS' multiply-adds, {second:.2f} of second-order DARTS'",
                "holds" if first < 0.8 and second < 0.5 else "fails",
            )
        )
    gaps = list(_of(cifar, "asap", "gap_outputs").values())
    if gaps:
        found.append(
            Claim(
                "ASAP has no relaxation gap",
                f"largest difference of outputs {max(gaps):.1e}; DARTS': "
                f"{number(_mean(list(_of(cifar, 'darts1', 'gap_outputs').values())) or 0.0)}",
                "holds" if max(gaps) < 1e-3 else "fails",
            )
        )
    pairs = [
        ("DARTS beats random cells (3.00 against 3.29 % error)", cifar, "darts1", "random-cell", "error"),
        ("DARTS beats random search with shared weights", cifar, "darts1", "random", "error"),
        ("Second order helps (2.76 against 3.00 % error)", cifar, "darts", "darts1", "error"),
        ("ASAP's cell is as good as DARTS'", cifar, "asap", "darts1", "error"),
        ("A searched recurrent cell beats an LSTM of equal size", text, "darts", "lstm", "perplexity"),
        ("A searched recurrent cell beats random ones", text, "darts", "random-cell", "perplexity"),
    ]
    for claimed, rows, a, b, name in pairs:
        difference, p, count = _paired(rows, a, b, name)
        if count:
            found.append(
                Claim(
                    claimed, f"{difference:+.4g} in {name}, {count} seeds, p {p:.2f}", _verdict(difference, p)
                )
            )
    return found


def _verdict(difference: float, p: float) -> str:
    if p > 0.1:
        return "unclear" + (", in its favour" if difference < 0 else ", against it" if difference > 0 else "")
    return "holds" if difference < 0 else "fails"


def _claims(found: Sequence[Claim]) -> str:
    return "## The papers' claims at this scale\n\n" + table(
        ["claimed", "measured", "verdict"], found, left=3
    )
