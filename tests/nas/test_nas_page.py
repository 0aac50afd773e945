"""The page about a search: parsed, and compared with the records that it shows."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rung.errors import UserError
from rung.nas.page import render_page, write_page
from rung.nas.report.charts import Level, Scale, chart, curve, ticks
from rung.nas.report.courses import skip_chart
from rung.nas.report.pruning import bands
from rung.nas.report.series import final_weights, looks, series
from rung.nas.report.words import decimal, duration, gap_words, large, skip_words
from rung.nas.result import Accuracies, Gap, SearchResult
from rung.nas.space import DARTS_OPERATIONS, SPACES, Cell, Space, image_space

VOID = {"meta", "br", "path", "rect", "circle", "polyline", "polygon", "line"}
NAN = math.nan


class Page(HTMLParser):
    """What the tests look at: text, elements that stay open, small plots by (cell, edge), addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.words: list[str] = []
        self.titles: list[str] = []
        self.counts: dict[str, int] = {}
        self.addresses: list[str] = []
        self.plots: dict[tuple[str, int], dict[str, list[tuple[bool, str]]]] = {}
        self.bands: list[list[dict[str, float]]] = []
        self._plot: dict[str, list[tuple[bool, str]]] | None = None
        self.feed(text)
        self.close()
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.addresses += [of[name] for name in ("src", "href", "action", "xlink:href") if name in of]
        if tag not in VOID or (tag == "rect" and "fill-opacity" in of):
            self.open.append(tag)
        if tag == "figure":
            self._plot = self.plots.setdefault((of["data-cell"], int(of["data-edge"])), {})
        if tag == "polyline" and self._plot is not None:
            self._plot.setdefault(of["data-n"], []).append((of.get("class") == "chosen", of["points"]))
        if tag == "svg" and of.get("aria-label", "").startswith("edge "):
            self.bands.append([])
        if tag == "rect" and "fill-opacity" in of:
            self.bands[-1].append({name: float(of[name]) for name in ("x", "y", "width", "height")})

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID and (not self.open or self.open[-1] != tag):
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)
        if tag == "figure":
            self._plot = None

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)
        if {"h1", "h2", "summary"} & set(self.open):
            self.titles.append(data)


def mixed(space: Space, epoch: int, alive: dict[tuple[str, int, str], int]) -> dict[str, list[list[float]]]:
    """Weights that differ by cell, edge, operation and epoch, zero where an operation is gone."""
    made = {}
    for place, cell in enumerate(space.cells):
        rows = []
        for edge in range(len(cell.edges)):
            there = [
                op in cell.candidates(edge) and epoch < alive.get((cell.name, edge, op), 10**6)
                for op in cell.operations
            ]
            raw = [
                (1.0 + math.sin(7.0 * place + 3.0 * edge + column) * epoch / 9.0) ** 2 + 0.1 if on else 0.0
                for column, on in enumerate(there)
            ]
            rows.append([value / (sum(raw) or 1.0) for value in raw])
        made[cell.name] = rows
    return made


def result_of(
    space: Space = SPACES["tiny"],
    epochs: int = 6,
    removed: dict[int, list[list[Any]]] | None = None,
    **changes: Any,
) -> SearchResult:
    """A result whose cell takes the last candidate of the first edges into each node."""
    removed = removed or {}
    chosen = {
        cell.name: tuple(
            (edge, cell.operations.index(cell.candidates(edge)[-1]))
            for target in cell.targets
            for edge in cell.entering(target)[: cell.keep]
        )
        for cell in space.cells
    }
    genotype = space.genotype(chosen)
    gone = {(cell, edge, op): at for at, rows in removed.items() for cell, edge, op in rows}
    records = [
        {
            "epoch": epoch,
            "train_loss": 2.0 / epoch,
            "loss": 2.5 / epoch,
            "accuracy": 0.5 + 0.05 * epoch / epochs,
            "temperature": 1.6 * 0.5**epoch,
            "operations": 40 - sum(at <= epoch for at in gone.values()),
            "alphas": {},
            "mixtures": mixed(space, epoch, gone),
            "removed": removed.get(epoch, []),
            "genotype": genotype.to_dict(),
            "seconds": 3.0 * epoch,
            "ledger": {},
            "notes": {},
        }
        for epoch in range(1, epochs + 1)
    ]
    cost = {"seconds": 95.0, "weight_passes": 60, "alpha_passes": 240, "images": 2_345_678}
    made = SearchResult(
        genotype=genotype,
        strategy="asap",
        space=space.name,
        preset="tiny",
        cell="cnn",
        seed=17,
        data="cifar10.npz",
        parameters=81_234,
        multiply_adds=5_678_901,
        cost={**cost, "passes": 300, "multiply_adds": 1.742e9},
        accuracy=Accuracies(0.6123, 0.6011, 0.8765),
        relaxation_gap=Gap(0.25, 0.0112),
        records=tuple(records),
    )
    return replace(made, **changes)


def points_of(segments: list[tuple[bool, str]]) -> list[tuple[int, float]]:
    pairs = [pair.split(",") for _, points in segments for pair in points.split()]
    return list(dict.fromkeys((int(x), -int(y) / 1000) for x, y in pairs))


def test_figures_occur() -> None:
    page = Page(render_page(result_of(), "rung search --data cifar10.npz --seed 17"))
    for figure in ("ASAP", "61.2%", "60.1%", "87.6%", "81,234", "5.68 million", "1 min 35 s", "300", "17"):
        assert figure in page.text
    assert "2.35 million" in page.text
    assert "1.74 billion" in page.text
    assert "weights: 60 passes, 20%" in page.text
    assert "alphas: 240 passes, 80%" in page.text
    assert "rung search --data cifar10.npz --seed 17" in page.text
    assert result_of().genotype.to_text() in page.text
    assert "6 epochs" in page.text


def test_parts_stand_in_order() -> None:
    removed = {3: [["normal", 0, "none"]]}
    page = Page(render_page(result_of(removed=removed, notes=("mind this",)), "rung search"))
    assert page.titles == [
        "A cell for cifar10.npz",
        "The cells",
        "How to find it again",
        "Notes",
        "Loss",
        "Accuracy",
        "Temperature",
        "Operations left",
        "Weights of the operations, edge by edge",
        "What was pruned, and when",
        "Skip connections, normal cell",
        "The relaxation gap",
        "What it cost",
        "The genotype",
        "All 6 epochs",
    ]


@pytest.mark.parametrize("name", ["tiny", "darts", "s1", "nasbench201", "recurrent"])
def test_small_plots_are_the_records(name: str) -> None:
    space = SPACES[name]
    first = space.cells[0]
    pruned = first.candidates(0)[0]
    result = result_of(space, removed={4: [[first.name, 0, pruned]]})
    page = Page(render_page(result))
    assert set(page.plots) == {(cell.name, edge) for cell in space.cells for edge in range(len(cell.edges))}
    for (cell, edge), lines in page.plots.items():
        assert set(lines) == set(space[cell].candidates(edge))
        for operation, segments in lines.items():
            column = space[cell].operations.index(operation)
            last = 3 if (cell, edge, operation) == (first.name, 0, pruned) else 6
            found = points_of(segments)
            assert [epoch for epoch, _ in found] == list(range(1, last + 1))
            for epoch, value in found:
                assert value == pytest.approx(
                    result.records[epoch - 1]["mixtures"][cell][edge][column], abs=5.1e-4
                )


def test_the_chosen_lines_are_the_genotype() -> None:
    result = result_of(SPACES["darts"])
    page = Page(render_page(result))
    bold = {
        (cell, edge, operation)
        for (cell, edge), lines in page.plots.items()
        for operation, segments in lines.items()
        if all(chosen for chosen, _ in segments)
    }
    expected = {
        (name, SPACES["darts"][name].edges.index((source, 2 + node)), operation)
        for name, cell in result.genotype.cells
        for node, edges in enumerate(cell.nodes)
        for operation, source in edges
    }
    assert bold == expected


def test_nothing_comes_from_elsewhere() -> None:
    text = render_page(result_of(), "rung search")
    page = Page(text)
    assert page.addresses == []
    assert "link" not in page.counts
    assert "iframe" not in page.counts
    assert "img" not in page.counts
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "url(" not in text
    assert "@import" not in text
    assert "fetch(" not in text


def test_pale_plots_are_pale_line_by_line() -> None:
    """Stretched lines within a translucent group are smeared over their neighbours by Chromium."""
    text = render_page(result_of(), "rung search")
    assert re.search(r"\.off [^{}]*polyline[^{}]*\{ opacity", text)
    assert not re.search(r"\.(off|frame|plots)( svg)? \{[^}]*opacity", text)


@pytest.mark.parametrize("epochs", [0, 1, 6])
def test_the_page_is_well_formed(epochs: int) -> None:
    result = result_of(epochs=epochs, removed={1: [["reduce", 1, "none"]]})
    text = render_page(result, "rung search")
    page = Page(text)
    assert page.wrong == []
    assert page.open == []
    assert "None" not in page.text
    assert "nan" not in page.text
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))


def test_names_are_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    space = Space("own", (Cell("normal", 2, ("skip_connect", f"conv{evil}")),))
    result = result_of(
        space,
        removed={2: [["normal", 1, "skip_connect"]]},
        data=evil,
        strategy=evil,
        study=evil,
        preset=evil,
        notes=(evil,),
        settings={"candidates": {"normal": list(space.cells[0].operations)}, "recipe": {evil: evil}},
    )
    result = replace(result, space=evil)
    page = Page(render_page(result, f"rung search --data '{evil}'"))
    assert page.counts["script"] == 1
    assert page.wrong == []
    assert page.open == []
    assert page.text.count("alert(1)") > 10
    assert set(page.plots["normal", 0]) == set(space.cells[0].operations)


def test_no_epoch_is_a_sentence() -> None:
    page = Page(render_page(result_of(epochs=0)))
    assert "No epoch was finished" in page.text
    assert page.plots == {}
    assert page.bands == []
    assert "What was pruned" not in page.text
    assert "0 epochs" in page.text


def test_a_value_that_is_not_finite_breaks_its_line() -> None:
    result = result_of()
    for record in result.records:
        if record["epoch"] == 3:
            record["mixtures"]["normal"][1][2] = NAN
            record["loss"] = record["train_loss"] = record["accuracy"] = NAN
    page = Page(render_page(replace(result, accuracy=Accuracies(NAN, None, 0.5))))
    segments = page.plots["normal", 1]["sep_conv_3x3"]
    assert [len(points.split()) for _, points in segments] == [2, 3]
    assert [epoch for epoch, _ in points_of(segments)] == [1, 2, 4, 5, 6]
    assert "nan" not in page.text.lower()


def test_a_lone_value_between_others_that_are_not_is_a_dot() -> None:
    result = result_of(epochs=3)
    for epoch in (0, 2):
        result.records[epoch]["mixtures"]["normal"][0][1] = None
    segments = Page(render_page(result)).plots["normal", 0]["skip_connect"]
    assert [epoch for epoch, _ in points_of(segments)] == [2]
    assert len(set(segments[0][1].split())) == 1
    assert len(segments[0][1].split()) == 2


@pytest.mark.parametrize("epochs", [300, 600])
def test_long_searches_make_small_pages(epochs: int) -> None:
    text = render_page(result_of(SPACES["darts"], epochs=epochs))
    assert len(text.encode()) < 1_000_000
    found = points_of(Page(text).plots["reduce", 13]["dil_conv_5x5"])
    assert found[0][0] == 1
    assert found[-1][0] == epochs
    assert len(found) >= 200


def test_bands_have_as_many_stripes_as_operations_are_left() -> None:
    removed = {
        2: [["normal", 0, "none"], ["reduce", 4, "avg_pool_3x3"]],
        5: [["normal", 0, "skip_connect"], ["normal", 0, "sep_conv_3x3"]],
    }
    page = Page(render_page(result_of(removed=removed)))
    assert len(page.bands) == 10
    for number, band in enumerate(page.bands):
        cell, edge = ("normal", number) if number < 5 else ("reduce", number - 5)
        for epoch in range(1, 7):
            there = [s for s in band if s["x"] <= epoch - 1 < s["x"] + s["width"]]
            gone = [row for at, rows in removed.items() if at <= epoch for row in rows]
            assert len(there) == 4 - sum(row[:2] == [cell, edge] for row in gone)
            assert sum(stripe["height"] for stripe in there) == pytest.approx(1.0, abs=1e-3)
    assert "4 operations of 40 went for good, the first in epoch 2, the last in epoch 5" in page.text
    assert "36 are left" in page.text


def test_an_edge_that_lost_all_its_operations() -> None:
    operations = SPACES["tiny"].cells[0].operations
    rows = [["reduce", 4, operation] for operation in operations]
    result = result_of(removed={3: rows[:3], 4: rows[3:]})
    reduce = bands(series(result))[1]
    assert reduce.bands[4].outcome == "gone in epoch 4"
    assert max(stripe.start + stripe.width for stripe in reduce.bands[4].stripes) == 3


def test_nothing_pruned_is_a_sentence() -> None:
    page = Page(render_page(result_of(strategy="darts1")))
    assert "Nothing was pruned: all 40 operations" in page.text
    assert "first-order DARTS" in page.text
    assert page.bands == []
    assert "Operations left" not in page.text


def test_perplexities_take_the_place_of_accuracies() -> None:
    result = result_of(
        SPACES["recurrent"],
        accuracy=Accuracies(),
        relaxation_gap=Gap(3.0, None),
        perplexity={"searched": 141.25, "derived": 655.1, "retrained": None},
    )
    for record in result.records:
        record["accuracy"] = None
    page = Page(render_page(result))
    assert "141.2" in page.text
    assert "655.1" in page.text
    assert "ccuracy" not in page.text
    assert f"{math.exp(2.5):.4g}" in page.text  # of the first epoch, in the table
    assert "recurrent cell" in page.text


@pytest.mark.parametrize(
    ("gap", "says"),
    [
        (Gap(), "was not measured"),
        (Gap(NAN, None), "was not measured"),
        (Gap(2.86e-6, 0.0), "2.86e-06, which is rounding"),
        (Gap(133.5, 0.397), "134, and accuracy falls by 39.7 percentage points"),
        (Gap(0.5, -0.02), "0.5, and accuracy rises by 2.0 percentage points"),
        (Gap(0.5, 0.0), "0.5, and accuracy stays the same"),
        (Gap(0.5, 0.01), "by 1.0 percentage points: operations that deriving drops still had weight"),
        (Gap(3.0, None), "3: operations"),
    ],
)
def test_the_gap_in_words(gap: Gap, says: str) -> None:
    assert says in gap_words(result_of(relaxation_gap=gap))


def test_half_skips_are_a_collapse() -> None:
    space = image_space("own", ("skip_connect", "sep_conv_3x3"))
    edges = [(edge, 0) for target in (2, 3, 4, 5) for edge in space.normal.entering(target)[:2]]
    for skips in range(9):
        chosen = tuple((edge, 0 if place < skips else 1) for place, (edge, _) in enumerate(edges))
        genotype = space.genotype({"normal": chosen, "reduce": tuple((edge, 0) for edge, _ in edges)})
        words, collapsed = skip_words("normal", genotype["normal"], "darts1")
        assert collapsed == (skips >= 4)
        assert words.startswith(f"{skips} skip connection{'' if skips == 1 else 's'} on 8 edges")
        if skips in (3, 4):
            text = Page(render_page(replace(result_of(space, 1), genotype=genotype))).text
            assert ("Collapse." in text) == collapsed


def test_skips_of_each_epoch() -> None:
    result = result_of()
    for record in result.records:
        nodes, most = record["genotype"]["normal"], record["epoch"] % 3
        record["genotype"] = {
            **record["genotype"],
            "normal": [["skip_connect", s] if i < most else [o, s] for i, (o, s) in enumerate(nodes)],
        }
    drawn = skip_chart(result)["chart"]
    assert [value for _, value in drawn.curves[0].points] == [1, 2, 0, 1, 2, 0]


def test_operations_of_an_own_space_are_named_by_the_result_or_numbered() -> None:
    space = Space("own", (Cell("normal", 2, ("skip_connect", "my_conv")),))
    named = result_of(space, settings={"candidates": {"normal": ["skip_connect", "my_conv"]}})
    assert set(Page(render_page(named)).plots["normal", 0]) == {"skip_connect", "my_conv"}
    assert set(Page(render_page(result_of(space))).plots["normal", 0]) == {"operation 1", "operation 2"}
    alike = replace(result_of(space), space="darts")  # a shipped space's name, but not its operations
    assert set(Page(render_page(alike)).plots["normal", 0]) == {"operation 1", "operation 2"}


def test_weights_in_the_drawing_are_those_of_the_last_epoch() -> None:
    result = result_of()
    weights = final_weights(result)
    assert weights is not None
    last = result.records[-1]["mixtures"]["normal"]
    assert weights["normal"] == [[last[0][3], last[1][3]], [last[2][3], last[3][3]]]
    for record in result.records:
        for rows in record["mixtures"].values():
            rows[:] = [[0.0, 0.0, 0.0, 1.0] for _ in rows]
    assert final_weights(result) is None  # all are one: nothing to tell
    assert final_weights(result_of(epochs=0)) is None


def test_looks_differ() -> None:
    made = looks(DARTS_OPERATIONS)
    assert len(set(made.values())) == len(DARTS_OPERATIONS)


def test_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write_page(result_of(), tmp_path / "search.html", "rung search")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(UserError, match="cannot be written"):
        write_page(result_of(), tmp_path / "no" / "search.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="give another path"):
        write_page(result_of(), tmp_path / "folder")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "search.html"]


def test_a_result_read_from_its_file_makes_the_same_page(tmp_path: Path) -> None:
    result = result_of(interrupted=True, settings={"recipe": {"rate": 0.025, "betas": [0.5, 0.999]}})
    result.save(tmp_path / "cell.json")
    clock = re.compile(r"\d+ \w+ \d{4}, \d\d:\d\d")
    first, second = (
        clock.sub("", render_page(one)) for one in (result, SearchResult.read(tmp_path / "cell.json"))
    )
    assert first == second
    assert "the search was interrupted" in first
    assert "0.5, 0.999" in first


def test_scales_and_ticks() -> None:
    scale = Scale(2.0, 4.0, 100.0, 0.0)
    assert [scale.at(value) for value in (2.0, 2.5, 4.0)] == [100.0, 75.0, 0.0]
    log = Scale(0.01, 1.0, 100.0, 0.0, log=True)
    assert [log.at(value) for value in (0.01, 0.1, 1.0)] == [100.0, 50.0, 0.0]
    assert ticks(0.0, 1.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(3.0, 3.0) == [3.0]


def test_charts_of_nothing() -> None:
    assert chart("t", "n", [curve("a", "#000", [(1, None), (2, NAN)])]) is None
    assert chart("t", "n", [curve("a", "#000", [(1, 0.0), (2, 1.0)])], kind="log") is None
    constant = chart("t", "n", [curve("a", "#000", [(1, 2.0)])], [Level("half", 2.0)])
    assert constant is not None
    assert "nan" not in str(constant.drawing)
    assert curve("a", "#000", [(1, None), (2, 1.0), (3, math.inf)]).points == ((2, 1.0),)


def test_a_strategys_own_figures_are_drawn() -> None:
    result = result_of()
    for record in result.records:
        record["notes"] = {"eigenvalue": 0.1 * record["epoch"], "hypergradient": "exact"}
    text = Page(render_page(result)).text
    assert "Eigenvalue" in text
    assert "Hypergradient" not in text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (NAN, "–"),
        (0.25, "0.2 s"),
        (36.2, "36 s"),
        (59.6, "1 min 00 s"),
        (252, "4 min 12 s"),
        (3599.7, "1 h 00 min"),
        (11_100, "3 h 05 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


def test_numbers() -> None:
    assert [large(value) for value in (None, 999, 123_456, 999_999, 1_742_819_328.0, 3.1e15, 1e21)] == [
        "–",
        "999",
        "123,456",
        "1 million",
        "1.74 billion",
        "3.1 quadrillion",
        "1e+03 quintillion",
    ]
    assert [decimal(value) for value in (None, NAN, 0.123456, 141.25, 12_345.6)] == [
        "–",
        "–",
        "0.1235",
        "141.2",
        "12,346",
    ]


@pytest.mark.parametrize(("low", "high", "says"), [(0.1, 0.1, "9.6%"), (0.2, 0.9, "40%"), (0.0, 1.0, "100%")])
def test_ticks_of_shares(low: float, high: float, says: str) -> None:
    drawn = chart("t", "n", [curve("a", "#000", [(1, low), (2, high)])], kind="share")
    assert drawn is not None
    assert f">{says}<" in str(drawn.drawing)
