"""Drawings of cells: nothing covers anything, every edge is there once, and the file is what it says."""

import json
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from rung.errors import UserError
from rung.nas.drawing import describe, draw, edge_weights, scene, svg
from rung.nas.drawing_layout import Vertex, crossings, isotonic, layered
from rung.nas.drawing_scene import INK, KINDS, Box, Curve, Label, Scene, kind, text_width
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.space import SPACES

PUBLISHED = json.loads(Path(__file__).with_name("published.json").read_text())
GENOTYPES = {name: Genotype.from_dict(form) for name, form in PUBLISHED["cells"].items()} | {
    f"recurrent {name}": Genotype.from_dict(form) for name, form in PUBLISHED["recurrent"].items()
}
SVG = "{http://www.w3.org/2000/svg}"


def full(nodes: int, inputs: int) -> Genotype:
    """Every edge that there can be, its operation changing from edge to edge."""
    names = (
        "nor_conv_3x3",
        "skip_connect",
        "nor_conv_1x1",
        "avg_pool_3x3",
        "none",
        "a rather long name of one's own",
    )
    cell = CellGenotype(
        tuple(tuple((names[(3 * i + s) % 6], s) for s in range(inputs + i)) for i in range(nodes)),
        tuple(range(inputs, inputs + nodes)),
        inputs,
    )
    return Genotype((("normal", cell),))


def points(curve: Curve) -> Iterator[tuple[float, float]]:
    """Points on the curve, by de Casteljau's definition."""
    start = curve.points[0]
    for i in range(1, len(curve.points), 3):
        a, b, c = curve.points[i : i + 3]
        for t in np.linspace(0, 1, 25):
            s = 1 - t
            weights = (s**3, 3 * s * s * t, 3 * s * t * t, t**3)
            yield tuple(
                sum(w * p[axis] for w, p in zip(weights, (start, a, b, c), strict=True)) for axis in (0, 1)
            )  # type: ignore[misc]
        start = c


def overlap(first: Box, second: Box) -> bool:
    return (
        abs(first.x - second.x) < (first.width + second.width) / 2 + 4
        and abs(first.y - second.y) < (first.height + second.height) / 2 + 4
    )


def inside(x: float, y: float, box: Box, inset: float = 0.5) -> bool:
    """Whether a point is in a box, whose corners are round."""
    radius = min(box.radius, box.width / 2, box.height / 2)
    dx = max(abs(x - box.x) - (box.width / 2 - radius), 0.0)
    dy = max(abs(y - box.y) - (box.height / 2 - radius), 0.0)
    return bool((dx * dx + dy * dy) ** 0.5 < radius - inset)


def check_clean(made: Scene) -> None:
    """No box covers another, no curve runs through a box but its own label, no text leaves its box."""
    boxes = [mark for mark in made.marks if isinstance(mark, Box)]
    curves = [mark for mark in made.marks if isinstance(mark, Curve)]
    labels = [mark for mark in made.marks if isinstance(mark, Label)]
    for first, second in combinations(boxes, 2):
        assert not overlap(first, second), (first, second)
    for curve in curves:
        for x, y in points(curve):
            assert 0 <= x <= made.width
            assert 0 <= y <= made.height
            for box in boxes:
                if not (box.hint and box.hint == curve.hint):
                    assert not inside(x, y, box), (curve.hint, box)
    for label in labels:
        width = text_width(label.text + label.low, label.size)
        left = label.x if label.start else label.x - width / 2
        assert left >= 0
        assert left + width <= made.width + 1
        around = [box for box in boxes if not label.start and inside(label.x, label.y, box)]
        assert label.start or (len(around) == 1 and width <= around[0].width)


@pytest.mark.parametrize("name", GENOTYPES)
def test_published_cells_are_drawn_clean(name: str) -> None:
    check_clean(scene(GENOTYPES[name], legend=False))


@pytest.mark.parametrize(("nodes", "inputs"), [(3, 1), (4, 2), (5, 2), (3, 3)])
def test_cells_with_all_edges_are_drawn_clean(nodes: int, inputs: int) -> None:
    check_clean(scene(full(nodes, inputs), legend=False))


@st.composite
def genotypes(draw: st.DrawFn) -> Genotype:
    inputs = draw(st.integers(1, 3))
    nodes = []
    for number in range(draw(st.integers(1, 6))):
        edge = st.tuples(
            st.sampled_from(["sep_conv_3x3", "none", "identity", "x"]), st.integers(0, inputs + number - 1)
        )
        nodes.append(tuple(draw(st.lists(edge, min_size=1, max_size=3))))
    concat = draw(st.lists(st.integers(0, inputs + len(nodes) - 1), min_size=1, max_size=8, unique=True))
    name = draw(st.sampled_from(["normal", "recurrent"])) if inputs == 1 else "normal"
    return Genotype(((name, CellGenotype(tuple(nodes), tuple(concat), inputs)),))


@settings(deadline=None, max_examples=15)
@given(genotypes())
def test_any_cell_is_drawn_clean(genotype: Genotype) -> None:
    """Edges twice, inputs in the output, nodes that nobody reads, and whatever else is legal."""
    made = scene(genotype, legend=False)
    check_clean(made)
    cell = genotype.cells[0][1]
    curves = [mark for mark in made.marks if isinstance(mark, Curve)]
    edges = sum(map(len, cell.nodes))
    assert len(curves) == edges + len(cell.concat) + 2 * genotype.recurrent
    words = sorted(mark.text for mark in made.marks if isinstance(mark, Label) and mark.size == 11.0)
    assert words == sorted(operation for entering in cell.nodes for operation, _ in entering)


def texts(root: ET.Element) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def test_svg_says_what_is_in_it() -> None:
    root = ET.fromstring(svg(GENOTYPES["DARTS_V2"]))
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Normal cell and reduction cell"
    assert root[0].tag == f"{SVG}title"
    described = root.findtext(f"{SVG}desc") or ""
    assert described.startswith(
        "Normal cell: node 2 is sep_conv_3x3 of c_{k-2} plus sep_conv_3x3 of c_{k-1}; node 3 is"
    )
    assert "node 5 is skip_connect of c_{k-2} plus dil_conv_3x3 of node 2; the output is made of" in described
    words = texts(root)
    assert words.count("max_pool_3x3") == 5
    assert words.count("dil_conv_3x3") == 1
    assert [words.count(str(node)) for node in range(2, 6)] == [2] * 4
    assert {"ck\N{MINUS SIGN}2", "ck\N{MINUS SIGN}1", "ck", "Normal cell", "Reduction cell"} <= set(words)
    hints = [title.text for path in root.iter(f"{SVG}path") for title in path.iter(f"{SVG}title")]
    assert "dil_conv_3x3: from 2 to 5" in hints
    assert "4 is part of the output c_{k}" in hints
    assert root.findall(".//*[@id]") == []  # so that several stand in one page


def test_a_recurrent_cell_has_its_own_inputs() -> None:
    recurrent = GENOTYPES["recurrent ENAS"]
    words = texts(ET.fromstring(svg(recurrent, legend=False)))
    assert {"xt", "ht\N{MINUS SIGN}1", "ht", "Recurrent cell"} <= set(words)
    assert [words.count(str(node)) for node in range(12)] == [1] * 12
    assert words.count("relu") == 7
    assert "node 2 is tanh of node 1" in describe(recurrent)
    assert "node 1 is tanh of the first state" in describe(recurrent)


def test_the_legend_has_the_kinds_that_occur() -> None:
    words = texts(ET.fromstring(svg(GENOTYPES["SNAS_aggressive"])))
    legend = {kind.title for kind in KINDS.values()} & set(words)
    assert legend == {"separable convolution", "dilated convolution", "skip connection", "none: zero"}
    assert not {kind.title for kind in KINDS.values()} & set(
        texts(ET.fromstring(svg(GENOTYPES["ENAS"], legend=False)))
    )


def test_strange_names_are_escaped() -> None:
    strange = Genotype((("mine", CellGenotype(((('<b a="1">&\'', 0),),), (1,), 1)),))
    root = ET.fromstring(svg(strange))
    assert texts(root).count('<b a="1">&\'') == 1
    assert "Cell mine" in texts(root)


def test_width_scales_the_whole() -> None:
    own = ET.fromstring(svg(GENOTYPES["ASAP"]))
    small = ET.fromstring(svg(GENOTYPES["ASAP"], width=300))
    assert small.get("width") == "300"
    assert small.get("viewBox") == own.get("viewBox")
    ratio = float(own.get("height", 0)) / float(own.get("width", 1))
    assert float(small.get("height", 0)) == pytest.approx(300 * ratio, abs=0.01)


def test_the_same_genotype_gives_the_same_drawing() -> None:
    some = [GENOTYPES[name] for name in ("ASAP", "NASNet", "recurrent DARTS_V1")]
    first = [svg(genotype) for genotype in some]
    assert [svg(genotype) for genotype in some] == first
    assert len(set(first)) == len(first)


def test_weights_are_shown_and_thicken_the_edges() -> None:
    genotype = Genotype.from_dict({"normal": [["skip_connect", 0], ["sep_conv_3x3", 1]]})
    made = scene(genotype, alphas={"normal": [[0.25, 0.75]]})
    words = [mark.text for mark in made.marks if isinstance(mark, Label)]
    assert {"skip_connect 25%", "sep_conv_3x3 75%"} <= set(words)
    thick = {mark.hint.split(":")[0]: mark.thickness for mark in made.marks if isinstance(mark, Curve)}
    assert thick["sep_conv_3x3"] - thick["skip_connect"] == pytest.approx(1.2)
    check_clean(scene(genotype, alphas={"normal": [[0.25, 0.75]]}, legend=False))


def test_weights_of_edges_are_found_in_mixtures() -> None:
    searched = SPACES["darts"]["normal"]
    rows = [[100 * edge + column for column in range(8)] for edge in range(14)]
    cell = CellGenotype(((("sep_conv_3x3", 1), ("none", 0)), (("dil_conv_5x5", 2),)), (2, 3))
    assert edge_weights(searched, cell, rows) == [[104.0, 0.0], [407.0]]


def test_kinds_are_told_by_names() -> None:
    told = {
        "sep_conv_7x7": "separable",
        "dil_conv_5x5": "dilated",
        "conv_7x1_1x7": "convolution",
        "nor_conv_1x1": "convolution",
        "avg_pool_3x3": "pool",
        "skip_connect": "skip",
        "identity": "skip",
        "none": "none",
        "relu": "relu",
        "my_dilated_pooling": "pool",
        "squeeze": "other",
    }
    assert {name: kind(name) for name in told} == told


def contrast(first: str, second: str) -> float:
    """Of two colours, as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_colours_can_be_read() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for look in KINDS.values():
        assert contrast(INK, look.fill) > 7, look
        assert contrast(look.line, "#ffffff") > 4.5, look


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(0.1, 9)), min_size=1, max_size=12))
def test_isotonic_is_least_squares(pairs: list[tuple[float, float]]) -> None:
    wanted, weights = zip(*pairs, strict=True)
    expected = IsotonicRegression().fit_transform(np.arange(len(wanted)), wanted, sample_weight=weights)
    assert isotonic(wanted, weights) == pytest.approx(list(expected), abs=1e-6)


def crossings_slowly(ranks: Sequence[Sequence[int]], links: Sequence[tuple[int, int]]) -> int:
    place = {v: i for rank in ranks for i, v in enumerate(rank)}
    at = {v: r for r, rank in enumerate(ranks) for v in rank}
    return sum(
        (place[a] - place[c]) * (place[b] - place[d]) < 0
        for (a, b), (c, d) in combinations(links, 2)
        if at[a] == at[c]
    )


def test_crossings_are_counted_as_pairs() -> None:
    for seed in range(30):
        draws = random.Random(seed)
        ranks = [[4 * r + i for i in range(4)] for r in range(3)]
        links = [
            (draws.randrange(4 * r, 4 * r + 4), draws.randrange(4 * r + 4, 4 * r + 8))
            for r in (0, 0, 0, 1, 1, 1)
        ]
        for rank in ranks:
            draws.shuffle(rank)
        assert crossings(ranks, links) == crossings_slowly(ranks, links)


def test_a_planar_graph_is_drawn_without_crossings() -> None:
    """A ladder whose rungs were numbered at random: the order that has no crossing is found."""
    order = list(range(6))
    random.Random(5).shuffle(order)
    vertices = [Vertex(rank, 10, 10, 5, node=True) for rank in range(4) for _ in range(6)]
    names = [list(range(6))] + [[6 * rank + i for i in order] for rank in (1, 2, 3)]
    links = [(names[r][i], names[r + 1][i]) for r in range(3) for i in range(6)]
    placed = layered(vertices, links)
    for a, b in links:
        assert placed.y[a] == pytest.approx(placed.y[b], abs=0.5)  # and so all links are level


def test_a_long_line_is_straight() -> None:
    """Beside a node in the way, it makes one step at most."""
    made = scene(GENOTYPES["DARTS_V1"], legend=False)
    for curve in (mark for mark in made.marks if isinstance(mark, Curve)):
        levels = [y for _, y in curve.points[3:-3:3]]
        steps = sum(abs(a - b) > 1 for a, b in pairwise(levels))
        assert steps <= 1, curve.hint


@pytest.mark.parametrize("name", ["a.svg", "a.PNG", "a.pdf"])
def test_files(tmp_path: Path, name: str) -> None:
    if not name.endswith("svg"):
        pytest.importorskip("matplotlib")
    path = draw(GENOTYPES["DARTS_V1"], tmp_path / name)
    first = path.read_bytes()
    assert draw(GENOTYPES["DARTS_V1"], path).read_bytes() == first  # no dates in it
    made = scene(GENOTYPES["DARTS_V1"])
    if name.endswith("PNG"):
        from PIL import Image

        with Image.open(path) as picture:
            assert picture.size == (round(made.width * 2.25), round(made.height * 2.25)) or (
                abs(picture.width - made.width * 2.25) <= 1 and abs(picture.height - made.height * 2.25) <= 1
            )
            colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
        line = KINDS["separable"].line
        assert tuple(int(line[i : i + 2], 16) for i in (1, 3, 5)) in colours
    elif name.endswith("pdf"):
        assert b"/Title" in first
    else:
        assert first.decode() == svg(GENOTYPES["DARTS_V1"])


def test_files_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=re.escape("its name must end in .svg, .png or .pdf")):
        draw(GENOTYPES["DARTS_V1"], tmp_path / "a.gif")
    with pytest.raises(
        UserError, match=r"a\.svg cannot be written \(No such file or directory\): give another --out"
    ):
        draw(GENOTYPES["DARTS_V1"], tmp_path / "no" / "a.svg")
    monkeypatch.setattr("rung.nas.drawing_picture.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs matplotlib, .* pip install 'rung\[viz\]', or draw to a name"):
        draw(GENOTYPES["DARTS_V1"], tmp_path / "a.png")
