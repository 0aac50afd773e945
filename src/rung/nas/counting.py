"""What a network costs: parameters and multiply-adds, exact and without building the network.

A network is a sum of few different modules that occur often. Each is built once without memory, run once on
a picture without memory, and its cost is kept by what made it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

import torch
from torch import nn

from rung.errors import SpaceError
from rung.nas.genotype import ZERO, CellGenotype, Genotype
from rung.nas.memory import out_of_memory
from rung.nas.network import network_places, staged, staged_cell, staged_stem
from rung.nas.operations import OPERATIONS, FactorizedReduce, Operation, relu_conv_norm
from rung.nas.skeleton import AuxiliaryHead, Place, Residual, StemName, stems

CONVENTION: Final = (
    "parameters: all weights, alphas not counted, the auxiliary head only where asked for; multiply-adds: of "
    "convolutions and linear layers, for one picture, in evaluation (no auxiliary head); not of "
    "normalisations, pools, activations and sums"
)
RECURRENT_CONVENTION: Final = (
    "parameters: all weights, the embedding once since the decoder shares it; multiply-adds: of matrix "
    "products, for one word, the decoder's too; not of activations, gates and sums"
)
_HEAVY: Final = 1 << 29  # multiply-adds of a pointwise convolution from which no memory is taken


class Count(NamedTuple):
    """What was counted.

    Attributes:
        parameters: weights and biases that are trained.
        multiply_adds: of convolutions and linear layers, for one picture; of a recurrent cell for one word.
        convention: what is counted, and what is not.
    """

    parameters: int
    multiply_adds: int
    convention: str = CONVENTION


class Cost(NamedTuple):
    """Of one module, for one picture of one size."""

    parameters: int = 0
    multiply_adds: int = 0

    def plus(self, other: Cost) -> Cost:
        """Of both."""
        return Cost(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


def count(  # noqa: PLR0913  # one network, all that describes it
    genotype: Genotype,
    channels: int,
    layers: int,
    classes: int,
    *,
    image_size: int = 32,
    pictures: int = 3,
    stem: StemName = "cifar",
    auxiliary: bool = False,
    table: Mapping[str, Operation] = OPERATIONS,
) -> Count:
    """Parameters and multiply-adds of a genotype's network (`rung.nas.network.network`), exact.

    Args:
        channels: of a node in the first cells.
        layers: cells in the stack.
        classes: of the pictures.
        image_size: side of a picture, in pixels.
        pictures: channels of a picture.
        stem: "cifar" keeps the size, "imagenet" divides it by eight.
        auxiliary: whether the second head's parameters are counted, too.
        table: operations by name.

    Raises:
        SpaceError: the network cannot be built, or the pictures are too small for it.
    """
    genotype.check(table)
    for what, number in {"classes": classes, "channels of a picture": pictures}.items():
        if number < 1:
            raise SpaceError(f"a network has at least one of {what}, not {number}")
    if genotype.cells[0][1].inputs == 1:
        if auxiliary or stem != "cifar":
            raise SpaceError("a stack of cells with one input has neither another stem nor an auxiliary head")
        total = _staged(genotype, channels, layers, image_size, pictures, table)
        return Count(*total.plus(_linear(4 * channels, classes)))
    places = network_places(genotype, channels, layers, stem)
    total, sides = _stem(stem, pictures, channels, image_size)
    smallest = 2 ** ((3 if stem == "imagenet" else 0) + sum(place.reduction for place in places))
    if image_size < smallest:
        raise SpaceError(
            f"pictures of {image_size} pixels are too small: this network halves them "
            f"{smallest.bit_length() - 1} times, so they need at least {smallest}"
        )
    tap = 2 * layers // 3
    for index, place in enumerate(places):
        cost, side = _cell(genotype[place.cell], place, sides, table)
        total = total.plus(cost)
        sides = sides[1], side
        if auxiliary and index == tap:
            total = total.plus(_auxiliary(place.width, classes, stem, side, image_size))
    return Count(*total.plus(_linear(places[-1].width, classes)))


def count_recurrent(genotype: Genotype, hidden: int, vocabulary: int) -> Count:
    """Parameters and multiply-adds of a recurrent cell's language model (DARTS, appendix A.1.2), closed form.

    The embedding, which the decoder shares, and the decoder's bias; a matrix from word and state (2 hidden)
    to gate and candidate (2 hidden); and for each node one from its predecessor (hidden) to both (2 hidden),
    but for a node on whose edges there is nothing but the zero operation. A node with several predecessors
    has one matrix, and a product for each.

    Args:
        hidden: width of the state, and of the embedding.
        vocabulary: number of words.

    Raises:
        SpaceError: the genotype has no recurrent cell, or a number is below one.
    """
    if not genotype.recurrent:
        raise SpaceError('a genotype of a recurrent cell names it "recurrent"')
    for what, number in {"hidden units": hidden, "words": vocabulary}.items():
        if number < 1:
            raise SpaceError(f"a language model has at least one of {what}, not {number}")
    reads = [sum(name != ZERO for name, _ in edges) for edges in genotype["recurrent"].nodes]
    rest, each = (2 * hidden) * (2 * hidden) + vocabulary * hidden, hidden * (2 * hidden)
    weights = rest + sum(read > 0 for read in reads) * each
    return Count(weights + vocabulary, rest + sum(reads) * each, RECURRENT_CONVENTION)


def parameters(net: nn.Module) -> int:
    """Of all weights."""
    return sum(p.numel() for p in net.parameters())


def multiply_adds(net: nn.Module, shape: tuple[int, ...]) -> int:
    """Of convolutions and linear layers in a forward pass in evaluation, for an input on the meta device."""
    return sum(by_module(net, torch.empty(shape, device="meta")).values())


def by_module(net: nn.Module, *inputs: Any) -> dict[str, int]:
    """Multiply-adds of each convolution and linear layer by its name, in a forward pass in evaluation.

    Args:
        inputs: what the network is called with, on the device where it is.
    """
    return _pass(net, *inputs)[0]


def _pass(net: nn.Module, *inputs: Any) -> tuple[dict[str, int], torch.Size]:
    """Multiply-adds of a forward pass by module, and the shape of what came out."""
    spent: dict[str, int] = {}

    def counter(name: str) -> Callable[[nn.Module, object, torch.Tensor], None]:
        def add(module: nn.Module, _: object, y: torch.Tensor) -> None:
            each = module.in_features if isinstance(module, nn.Linear) else _taps(module)
            spent[name] = spent.get(name, 0) + y.numel() * each

        return add

    hooks = [
        module.register_forward_hook(counter(name))
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    training = net.training
    try:
        net.eval()
        with torch.no_grad():
            y = net(*inputs)
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return spent, y.shape


def _taps(module: nn.Module) -> int:
    """Multiply-adds of a convolution for one number of its output."""
    assert isinstance(module, nn.Conv2d)
    return math.prod(module.kernel_size) * module.in_channels // module.groups


def _measured(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> tuple[Cost, tuple[int, ...]]:
    """Cost of a module for an input of this shape, and the shape of its output.

    Made without drawing weights. A light one is run on zeros in memory: on the meta device a first
    convolution, or `to_empty`, loads torch's compiler or its algebra, which takes seconds. A heavy one is run
    there: it takes neither time nor memory.
    """
    if math.prod(shape) * shape[1] > _HEAVY:
        try:
            return _run(build, shape, "meta")
        except Exception as error:  # anybody's operation: one that looks at what it computes is run in memory
            if "overflow" in str(error):
                raise _too_large() from error
    try:
        return _run(build, shape, "cpu")
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise _too_large() from error


def _too_large() -> SpaceError:
    return SpaceError("the network is too large to be counted: take fewer channels, or smaller pictures")


def _run(build: Callable[[], nn.Module], shape: tuple[int, ...], device: str) -> tuple[Cost, tuple[int, ...]]:
    with torch.device("meta"):
        module = build()
    if device == "cpu":
        for part in module.modules():
            for name, weight in part.named_parameters(recurse=False):
                setattr(part, name, nn.Parameter(torch.zeros(weight.shape), requires_grad=False))
            for name, state in part.named_buffers(recurse=False):
                setattr(part, name, torch.zeros(state.shape, dtype=state.dtype))
    with torch.random.fork_rng(devices=[]):  # an operation may draw noise
        spent, after = _pass(module, torch.zeros(shape, device=device))
    return Cost(parameters(module), sum(spent.values())), tuple(after)


@lru_cache(maxsize=4096)
def operation_cost(operation: Operation, channels: int, stride: int, side: int) -> Cost:
    """Of an operation on a square picture of `channels` and `side`, with weights in its normalisations.

    Raises:
        SpaceError: its output has not the shape that a cell needs.
    """
    cost, shape = _measured(lambda: operation.build(channels, stride, True), (1, channels, side, side))
    half = -(-side // stride)
    if shape != (1, channels, half, half):
        raise SpaceError(
            f"an operation makes {tuple(shape[1:])} of {(channels, side, side)} at stride {stride}: "
            f"a cell needs {(channels, half, half)}"
        )
    return cost


@lru_cache(maxsize=4096)
def _before(c_in: int, c_out: int, halved: bool, side: int) -> Cost:
    """Of what brings an input to a cell's channels, and if `halved` to half its size."""
    build = (
        (lambda: FactorizedReduce(c_in, c_out, True))
        if halved
        else (lambda: relu_conv_norm(c_in, c_out, 1, 1, True))
    )
    return _measured(build, (1, c_in, side, side))[0]


@lru_cache(maxsize=4096)
def _residual(c_in: int, c_out: int, side: int) -> Cost:
    return _measured(lambda: Residual(c_in, c_out, True), (1, c_in, side, side))[0]


def _linear(inputs: int, outputs: int) -> Cost:
    return Cost(inputs * outputs + outputs, inputs * outputs)


def _stem(kind: StemName, pictures: int, channels: int, side: int) -> tuple[Cost, tuple[int, int]]:
    """Of the stem, and the sides of the first cell's two inputs."""
    with torch.device("meta"):
        many = len(stems(kind, pictures, channels))
    shape: tuple[int, ...] = (1, pictures, side, side)
    total, sides = Cost(), []
    for number in range(many):
        cost, shape = _measured(partial(_stem_part, kind, pictures, channels, number), shape)
        total = total.plus(cost)
        sides.append(shape[2])
    return total, (sides[0], sides[-1])


def _stem_part(kind: StemName, pictures: int, channels: int, number: int) -> nn.Module:
    return stems(kind, pictures, channels)[number]


def _cell(
    cell: CellGenotype, place: Place, sides: tuple[int, int], table: Mapping[str, Operation]
) -> tuple[Cost, int]:
    """Of a cell where it stands, and the side of its output."""
    side, total = sides[-1], Cost()
    if cell.inputs == 2:
        elder, younger = place.inputs
        total = _before(elder, place.channels, place.after_reduction, sides[0])
        total = total.plus(_before(younger, place.channels, False, side))
    half = -(-side // 2) if place.reduction else side
    for edges in cell.nodes:
        for name, source in edges:
            entering = source < cell.inputs
            stride = 2 if place.reduction and entering else 1
            total = total.plus(
                operation_cost(table[name], place.channels, stride, side if entering else half)
            )
    return total, half


def _auxiliary(width: int, classes: int, stem: StemName, side: int, image_size: int) -> Cost:
    """The second head's parameters; in evaluation it does nothing.

    Raises:
        SpaceError: what it reads is too small or too large to be pooled to two by two.
    """
    stride = 3 if stem == "cifar" else 2
    if side < 5 or (side - 5) // stride != 1:
        raise SpaceError(
            f"the auxiliary head reads squares of {5 + stride} to {4 + 2 * stride} pixels, but pictures of "
            f"{image_size} pixels give it {side}: leave it out, or count pictures of "
            f"{32 if stem == 'cifar' else 224} pixels"
        )
    with torch.device("meta"):
        return Cost(parameters(AuxiliaryHead(width, classes, stem)))


def _staged(
    genotype: Genotype,
    channels: int,
    layers: int,
    side: int,
    pictures: int,
    table: Mapping[str, Operation],
) -> Cost:
    """Of a stack in three stages, without its classifier."""
    if channels < 1 or layers < 1:
        raise SpaceError(f"a network has at least one layer and one channel, not {layers} and {channels}")
    if side < 4:
        raise SpaceError(
            f"pictures of {side} pixels are too small: this network halves them twice, so give 4"
        )
    cell = staged_cell(genotype)
    total = _measured(lambda: staged_stem(pictures, channels), (1, pictures, side, side))[0]
    for name, width in staged(layers, channels):
        if name:
            place = Place(name, width, (width,), False, False, width)
            total = total.plus(_cell(cell, place, (side, side), table)[0])
        else:
            total = total.plus(_residual(width // 2, width, side))
            side = -(-side // 2)
    return total.plus(Cost(2 * 4 * channels))  # the last normalisation
