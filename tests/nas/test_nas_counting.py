"""Parameters and multiply-adds, equal to what the reference has, and to networks that are built and run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rung.errors import SpaceError
from rung.nas.counting import by_module, count, count_recurrent, multiply_adds, operation_cost, parameters
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.network import network
from rung.nas.operations import OPERATIONS, Operation
from rung.nas.recurrent.language import language_model
from rung.nas.recurrent.masks import Dropouts

PUBLISHED = json.loads(Path(__file__).with_name("published.json").read_text())
SIDE = {"cifar": 32, "imagenet": 224}


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def cell(name: str) -> Genotype:
    return Genotype.from_dict(PUBLISHED["cells"][name])


@pytest.mark.parametrize("name", PUBLISHED["cells"])
def test_published_networks(name: str) -> None:
    rows = [row[1:] for row in PUBLISHED["counts"] if row[0] == name]
    assert len(rows) >= 4
    for channels, layers, classes, stem, weights, with_head, macs in rows:
        size = {"image_size": SIDE[stem], "stem": stem}
        counted = count(cell(name), channels, layers, classes, **size)
        assert counted.parameters == weights
        if macs is not None:
            assert counted.multiply_adds == macs
        if with_head is not None:
            assert (
                count(cell(name), channels, layers, classes, auxiliary=True, **size).parameters == with_head
            )


@pytest.mark.parametrize("key", PUBLISHED["operations"])
def test_published_operations(key: str) -> None:
    name, channels, stride, affine = key.split("|")
    with torch.device("meta"):
        module = OPERATIONS[name].build(int(channels), int(stride), affine == "True")
    assert parameters(module) == PUBLISHED["operations"][key]
    if affine == "True":
        assert operation_cost(OPERATIONS[name], int(channels), int(stride), 8).parameters == parameters(
            module
        )


@pytest.mark.parametrize(("name", "hidden", "vocabulary", "expected"), PUBLISHED["recurrent_counts"])
def test_published_language_models(name: str, hidden: int, vocabulary: int, expected: int) -> None:
    genotype = Genotype.from_dict(PUBLISHED["recurrent"][name])
    counted = count_recurrent(genotype, hidden, vocabulary)
    assert counted.parameters == expected
    assert (
        counted.multiply_adds == expected - vocabulary
    )  # all but the decoder's bias are matrices, used once
    assert "embedding once" in counted.convention


def test_a_recurrent_cell_with_zeros_counts_as_what_is_built() -> None:
    nodes = (
        (("tanh", 0),),
        (("none", 1),),  # no matrix, no product
        (("relu", 0), ("sigmoid", 1)),  # one matrix, two products
        (("none", 0), ("identity", 2)),
    )
    genotype = Genotype((("recurrent", CellGenotype(nodes, (1, 2, 3, 4), 1)),))
    counted = count_recurrent(genotype, 6, 20)
    model = language_model(genotype, 20, 6, Dropouts())
    assert counted.parameters == parameters(model)
    assert counted.multiply_adds == 12 * 12 + 4 * 6 * 12 + 20 * 6


def test_multiply_adds_by_hand() -> None:
    """One cell of skips on pictures of 4 x 4, two channels: stem, two 1x1 convolutions, classifier."""
    skips = CellGenotype(((("skip_connect", 0), ("skip_connect", 1)),), (2,))
    counted = count(Genotype((("normal", skips),)), 2, 1, 5, image_size=4)
    stem, before, classifier = 16 * 6 * 27, 2 * 16 * 6 * 2, 2 * 5
    assert counted.multiply_adds == stem + before + classifier
    assert counted.parameters == (6 * 27 + 2 * 6) + 2 * (6 * 2 + 2 * 2) + (2 * 5 + 5)


NAMES = sorted(set(OPERATIONS) - {"noise"})


@st.composite
def cells(draw: st.DrawFn, inputs: int, most: int = 3) -> CellGenotype:
    nodes = tuple(
        tuple(
            draw(
                st.lists(
                    st.tuples(st.sampled_from(NAMES), st.integers(0, inputs + number - 1)),
                    min_size=1,
                    max_size=3,
                )
            )
        )
        for number in range(draw(st.integers(1, 3)))
    )
    concat = draw(st.lists(st.integers(inputs, inputs + len(nodes) - 1), min_size=1, max_size=most))
    return CellGenotype(nodes, tuple(concat), inputs)


@settings(deadline=None, max_examples=12)
@given(
    cells(2),
    st.one_of(st.none(), cells(2)),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from([32, 33, 37]),
    st.sampled_from(["cifar", "imagenet"]),
    st.integers(1, 4),
)
def test_counting_is_building_and_running(
    normal: CellGenotype,
    reduce: CellGenotype | None,
    channels: int,
    layers: int,
    side: int,
    stem: Any,
    pictures: int,
) -> None:
    """Against the network itself, built whole: any cells, odd sides and channels too."""
    channels += channels % 2 if stem == "imagenet" else 0
    named = (("normal", normal),) if reduce is None else (("normal", normal), ("reduce", reduce))
    genotype = Genotype(named)
    with torch.device("meta"):
        net = network(genotype, channels, layers, 3, pictures=pictures, stem=stem)
    counted = count(genotype, channels, layers, 3, image_size=side, pictures=pictures, stem=stem)
    assert counted.parameters == parameters(net)
    assert counted.multiply_adds == multiply_adds(net, (1, pictures, side, side))


@settings(deadline=None, max_examples=6)
@given(cells(1, most=1), st.integers(1, 4), st.integers(1, 7), st.integers(8, 11))
def test_counting_in_stages(normal: CellGenotype, channels: int, layers: int, side: int) -> None:
    genotype = Genotype((("normal", normal),))
    with torch.device("meta"):
        net = network(genotype, channels, layers, 4)
    counted = count(genotype, channels, layers, 4, image_size=side)
    assert counted.parameters == parameters(net)
    assert counted.multiply_adds == multiply_adds(net, (1, 3, side, side))


def test_nas_bench_201_networks() -> None:
    """Five cells a stage, 16 channels: 1.532 M with 3x3 convolutions on all edges, 0.073 M with skips.

    As the published table has it (Dong and Yang 2020).
    """

    def of(name: str) -> int:
        edges = tuple(tuple((name, source) for source in range(target)) for target in (1, 2, 3))
        return count(Genotype((("normal", CellGenotype(edges, (3,), 1)),)), 16, 15, 10).parameters

    assert round(of("nor_conv_3x3") / 1e6, 3) == 1.532
    assert round(of("skip_connect") / 1e6, 3) == 0.073


def test_none_costs_nothing() -> None:
    none = CellGenotype(((("none", 0), ("none", 1)),), (2,))
    skip = CellGenotype(((("skip_connect", 0), ("skip_connect", 1)),), (2,))
    first, second = (count(Genotype((("normal", c),)), 4, 2, 10, image_size=8) for c in (none, skip))
    assert first == second


def test_by_module_names_what_it_counts() -> None:
    with torch.device("meta"):
        net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, groups=1), nn.Flatten(), nn.Linear(8 * 16, 5))
    spent = by_module(net, torch.empty((1, 3, 4, 4), device="meta"))
    assert spent == {"0": 16 * 8 * 27, "2": 8 * 16 * 5}
    assert net.training


def test_counting_leaves_the_random_state() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    noisy = CellGenotype(((("noise", 0), ("sep_conv_3x3", 1)),), (2,))
    operation_cost.cache_clear()
    count(Genotype((("normal", noisy),)), 4, 2, 10, image_size=8)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_operation_of_ones_own() -> None:
    grouped = Operation(lambda c, s, affine: nn.Conv2d(c, c, 3, s, 1, groups=c))
    table = {**OPERATIONS, "mine": grouped}
    genotype = Genotype((("normal", CellGenotype(((("mine", 0), ("none", 1)),), (2,))),))
    with torch.device("meta"):
        net = network(genotype, 4, 2, 10, table=table)
    counted = count(genotype, 4, 2, 10, image_size=8, table=table)
    assert counted.parameters == parameters(net)
    assert counted.multiply_adds == multiply_adds(net, (1, 3, 8, 8))
    shrinking = {**OPERATIONS, "mine": Operation(lambda c, s, affine: nn.Conv2d(c, c, 3, s))}
    with pytest.raises(SpaceError, match=r"an operation makes \(4, 6, 6\) of \(4, 8, 8\) at stride 1"):
        count(genotype, 4, 2, 10, image_size=8, table=shrinking)


def test_a_wide_network_takes_no_memory() -> None:
    """In closed form: at ten million channels a depthwise kernel twice, a pointwise one twice, and norms."""
    width, side = 10**7, 32
    cost = operation_cost(OPERATIONS["sep_conv_3x3"], width, 1, side)
    assert cost.parameters == 2 * (9 * width + width**2 + 2 * width)
    assert cost.multiply_adds == 2 * (9 * width + width**2) * side**2
    with pytest.raises(SpaceError, match="the network is too large to be counted: take fewer channels"):
        operation_cost(OPERATIONS["sep_conv_3x3"], 10**12, 1, side)


def test_a_wide_operation_that_looks_at_what_it_computes_is_run_in_memory() -> None:
    class Looking(nn.Conv2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input) + float(input.max())

    looking = Operation(lambda c, s, affine: Looking(c, c, 1, s, groups=c, bias=False))
    assert operation_cost(looking, 1024, 1, 32) == (1024, 1024 * 32**2)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "small": ({"image_size": 3}, "pictures of 3 pixels are too small: .* halves them 2 times, .* at least 4"),
    "imagenet": ({"image_size": 31, "stem": "imagenet"}, "halves them 5 times, so they need at least 32"),
    "head": (
        {"image_size": 64, "auxiliary": True},
        "reads squares of 8 to 10 pixels, but pictures of 64 pixels give it 16: leave it out",
    ),
    "small head": ({"image_size": 16, "auxiliary": True}, "pictures of 16 pixels give it 4"),
    "large head": (
        {"image_size": 320, "stem": "imagenet", "auxiliary": True},
        "reads squares of 7 to 8 pixels, .* or count pictures of 224 pixels",
    ),
    "channels": ({"channels": 0}, "at least one layer and one channel, not 2 and 0"),
    "halved": ({"channels": 1, "stem": "imagenet"}, "begins with half of the channels: give at least 2"),
    "layers": ({"layers": -1}, "at least one layer and one channel, not -1 and 4"),
    "classes": ({"classes": 0}, "at least one of classes, not 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_counted(case: str) -> None:
    options, said = WRONG[case]
    sizes = {"channels": 4, "layers": 2, "classes": 10, **options}
    with pytest.raises(SpaceError, match=said):
        count(cell("DARTS_V2"), **sizes)


def test_heads_that_fit_are_counted() -> None:
    """The sides that the sentence above allows are those that the head can read."""
    for side in (32, 33, 40):
        net = network(cell("DARTS_V1"), 2, 3, 10, auxiliary=True)
        scores, second = net(torch.zeros(2, 3, side, side))
        assert scores.shape == second.shape == (2, 10)
        assert count(cell("DARTS_V1"), 2, 3, 10, image_size=side, auxiliary=True).parameters == parameters(
            net
        )


def test_other_cells_are_refused() -> None:
    with pytest.raises(SpaceError, match="recurrent"):
        count_recurrent(cell("DARTS_V1"), 8, 100)
    recurrent = Genotype.from_dict(PUBLISHED["recurrent"]["DARTS_V1"])
    with pytest.raises(SpaceError, match="at least one of words, not 0"):
        count_recurrent(recurrent, 8, 0)
    with pytest.raises(SpaceError):
        count(recurrent, 4, 2, 10)
    unknown = Genotype((("normal", CellGenotype(((("sep_conv_9x9", 0), ("none", 1)),), (2,))),))
    with pytest.raises(SpaceError, match="unknown operation 'sep_conv_9x9': known are avg_pool_3x3"):
        count(unknown, 4, 2, 10)
    one = Genotype((("normal", CellGenotype(((("none", 0),),), (1,), 1)),))
    with pytest.raises(SpaceError, match="neither another stem nor an auxiliary head"):
        count(one, 4, 3, 10, auxiliary=True)
    wide = Genotype((("normal", CellGenotype(((("none", 0),), (("none", 0),)), (1, 2), 1)),))
    for make in (count, network):
        with pytest.raises(SpaceError, match="its output is one node, not 2: name one in its concat"):
            make(wide, 4, 3, 10)


def inputs_of(number: int) -> CellGenotype:
    return CellGenotype(((("skip_connect", 0), ("sep_conv_3x3", number - 1)),), (number,), number)


@pytest.mark.parametrize(
    ("normal", "reduce", "said"),
    [
        (3, 3, "cell 'normal' has 3 inputs, and is stacked where each cell reads the 2 before it: give it 2"),
        (2, 1, "cell 'reduce' has 1 input, and is stacked"),
        (2, 3, "cell 'reduce' has 3 inputs, and is stacked"),
        (
            1,
            1,
            "cell 'normal' has one input, and is stacked alone, .* leave 'reduce' out, or give each cell 2",
        ),
        (1, 2, "cell 'normal' has one input, and is stacked alone"),
    ],
)
def test_cells_with_a_number_of_inputs_that_cannot_be_stacked(normal: int, reduce: int, said: str) -> None:
    genotype = Genotype((("normal", inputs_of(normal)), ("reduce", inputs_of(reduce))))
    for make in (count, network):
        with pytest.raises(SpaceError, match=said):
            make(genotype, 4, 3, 10)
