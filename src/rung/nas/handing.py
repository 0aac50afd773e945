"""From a supernet to a derived network that has its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from rung.errors import SpaceError
from rung.nas.genotype import Genotype
from rung.nas.network import network
from rung.nas.partial import PartialBody
from rung.nas.recurrent.language import language_model
from rung.nas.recurrent.supernet import LanguageSupernet, derived_state
from rung.nas.supernet import SearchCell, Supernet
from rung.nas.task import Net

_EDGES: Final = "body.edges."
_STEM: Final = re.compile(r"^stem\.0\.")  # a staged network has one stem, the others a list


def hand_over(net: Net, genotype: Genotype) -> nn.Module:
    """The network of a genotype with normalisations as on the supernet, and a copy of its weights.

    It has the supernet's precision, device and mode. Its output is that of the supernet whose mixtures are
    one for the genotype's operations and zero for all others.

    Args:
        net: of pictures or of words, in any form whose operations are as wide as the derived network's.
        genotype: of the supernet's space.

    Raises:
        SpaceError: an operation of the genotype is not on the supernet, or narrower there.
    """
    with torch.random.fork_rng(devices=[]):  # what it is filled with first is not used
        made = _made(net, genotype)
    like = next(net.parameters())
    made.to(device=like.device, dtype=like.dtype)
    if isinstance(net, Supernet):
        _take(made, handed(net, genotype))
    else:
        _take(made, derived_state(net.plain_state(), made))
    return made.train(net.training)


def _made(net: Net, genotype: Genotype) -> nn.Module:
    if isinstance(net, LanguageSupernet):
        return language_model(genotype, net.sizes.vocabulary, net.sizes.hidden, net.dropouts, norm=True)
    if isinstance(net, Supernet):
        return network(
            genotype,
            net.channels,
            net.layers,
            net.classes,
            pictures=net.pictures,
            stem=net.stem_name,
            searched=True,
            table=net.table,
        )
    raise SpaceError(f"a {type(net).__name__} has no weights that a derived network could take over")


def handed(net: Supernet, genotype: Genotype) -> dict[str, Tensor]:
    """Weights and statistics of a supernet under the names of a derived network.

    Raises:
        SpaceError: an operation of the genotype is not on the supernet.
    """
    if any(isinstance(body, PartialBody) for _, body in net.bodies):
        raise SpaceError("operations on a part of the channels are narrower than those of a derived network")
    state = net.plain_state()
    kept = {
        _STEM.sub("stem.", name) if net.space.skeleton == "nasbench201" else name: value
        for name, value in state.items()
        if _EDGES not in name
    }
    for index, cell in enumerate(net.cells):
        if not isinstance(cell, SearchCell):
            continue
        for (node, slot), (edge, name) in _places(net, cell.name, genotype).items():
            old, new = f"cells.{index}.{_EDGES}{edge}.{name}.", f"cells.{index}.nodes.{node}.{slot}."
            kept |= {new + key.removeprefix(old): v for key, v in state.items() if key.startswith(old)}
    return kept


def _places(net: Supernet, kind: str, genotype: Genotype) -> dict[tuple[int, int], tuple[int, str]]:
    """(node, place among its edges) in the derived cell -> (edge's number, operation) in the searched."""
    cell, alive = net.space[kind], net.alive[kind]
    places = {}
    for node, edges in enumerate(genotype[kind].nodes):
        for slot, (name, source) in enumerate(edges):
            edge = cell.edges.index((source, cell.inputs + node)) if node < cell.nodes else -1
            if edge < 0 or name not in cell.operations or not alive[edge, cell.operations.index(name)]:
                raise SpaceError(
                    f"cell {kind!r}: {name!r} from {source} to node {cell.inputs + node} is not on the "
                    "supernet: it was pruned, or the genotype is of another space"
                )
            places[node, slot] = (edge, name)
    return places


def _take(made: nn.Module, state: Mapping[str, Tensor]) -> None:
    own = made.state_dict()
    wrong = [name for name in own if name not in state or state[name].shape != own[name].shape]
    wrong += [name for name in state if name not in own]
    if wrong:
        raise SpaceError(f"the supernet's weights do not fit the derived network: {wrong[0]} does not")
    made.load_state_dict(state)
