"""The searched recurrent cell: every node sums over all states before it and all activations.

Liu, Simonyan, Yang 2019, sections 2.2 and 3.1; appendix A.1.2. The matrix of a node is shared by all edges
and activations that enter it, so that pruning saves products of states that nobody reads any more, and
activations, but no weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from rung.errors import SpaceError
from rung.nas.plain import Mask, candidates_mask
from rung.nas.recurrent.cells import ACTIVATIONS, ZERO, Weights
from rung.nas.recurrent.language import CELL, Frame, Spoken, settled_masks
from rung.nas.recurrent.masks import NOTHING, Dropouts, Masks, Sizes
from rung.nas.space import Cell, Space
from rung.nas.task import Mixtures, Net

FORMS: Final = ("plain", "fused")


class Entering(NamedTuple):
    """What a node sums in a pass.

    Attributes:
        sources: states that it reads.
        parts: (activation, rows of `sources` that it is applied to or None for all, weights (n, 1, 1)).
        kept: sum of the weights of each source, (sources, 1, 1).
    """

    sources: tuple[int, ...]
    parts: tuple[tuple[str, Tensor | None, Tensor], ...]
    kept: Tensor


Mix = Callable[[Tensor, Tensor, Tensor, Entering], Tensor]


def _plain(before: Tensor, c: Tensor, h: Tensor, reads: Entering) -> Tensor:
    """sum_j sum_f p_jf (s_j + c_j (f(h_j) - s_j)), term by term."""
    total = torch.zeros_like(before[0])
    for name, rows, weight in reads.parts:
        s, gate, candidate = (before, c, h) if rows is None else (before[rows], c[rows], h[rows])
        total = total + (weight * (s + gate * (ACTIVATIONS[name](candidate) - s))).sum(0)
    return total


def _fused(before: Tensor, c: Tensor, h: Tensor, reads: Entering) -> Tensor:
    """The same as sum_j (P_j s_j + c_j (sum_f p_jf f(h_j) - P_j s_j)), P_j = sum_f p_jf."""
    mixed: Tensor | None = None
    for name, rows, weight in reads.parts:
        if rows is None:
            y = weight * ACTIVATIONS[name](h)
            mixed = y if mixed is None else mixed + y
        else:
            mixed = torch.zeros_like(h) if mixed is None else mixed
            mixed = mixed.index_add(0, rows, weight * ACTIVATIONS[name](h[rows]))
    assert mixed is not None
    return torch.lerp(reads.kept * before, mixed, c).sum(0)


class SearchCell(nn.Module):
    """The mixed cell over time.

    Args:
        cell: what is searched.
        hidden: units of a state, and width of what it reads.
        form: "plain" computes activation by activation, as the reference; "fused" the same sums rearranged.
        norm: whether states are normalised over the batch, without weights, as in the reference.
    """

    def __init__(self, cell: Cell, hidden: int, *, form: str = "fused", norm: bool = True) -> None:
        super().__init__()
        unknown = [name for name in cell.operations if name not in ACTIVATIONS and name != ZERO]
        if unknown or cell.inputs != 1 or form not in FORMS:
            raise SpaceError(
                f"a recurrent cell has one input and the activations {', '.join(ACTIVATIONS)} or {ZERO}: "
                f"cell {cell.name!r} has {cell.inputs} and {', '.join(cell.operations)}"
            )
        self.cell, self.form = cell, form
        self.alive: Mask = candidates_mask(cell)
        self.weights = Weights(hidden, hidden, tuple(range(cell.nodes)), norm=norm)
        self._counts = np.array([name != ZERO for name in cell.operations])  # (O,)

    def forward(
        self, x: Tensor, h: Tensor, mixture: Tensor, active: Mask | None = None, masks: Masks = NOTHING
    ) -> tuple[Tensor, Tensor]:
        """Outputs of all steps (steps, rows, hidden), and the last (rows, hidden).

        Args:
            x: embedded words (steps, rows, hidden).
            h: the output of the step before (rows, hidden).
            mixture: (E, O) weights.
            active: (E, O) operations to compute; all that are alive unless told.
        """
        used = (self.alive if active is None else self.alive & active) & self._counts[None, :]
        entering = [self._entering(target, mixture, used) for target in self.cell.targets]
        first, matrices = self.weights.matrices(masks)
        mix = _fused if self.form == "fused" else _plain
        outputs = []
        for begun in self.weights.begun(x, masks):
            states = [self.weights.start(begun, h, first, masks.hidden)]
            for node, reads in enumerate(entering):
                states.append(self._node(states, reads, matrices[node], masks.hidden, mix))
            h = torch.stack([states[node] for node in self.cell.concat]).mean(0)
            outputs.append(h)
        return torch.stack(outputs), h

    def _entering(self, target: int, mixture: Tensor, used: Mask) -> Entering:
        edges = [edge for edge in self.cell.entering(target) if used[edge].any()]
        rows = used[edges]  # (sources, O)
        weights = torch.where(torch.from_numpy(rows).to(mixture.device), mixture[edges], 0.0)
        parts = []
        for column in np.flatnonzero(rows.any(0)):
            at = np.flatnonzero(rows[:, column])
            some = None if len(at) == len(edges) else torch.from_numpy(at).to(mixture.device)
            weight = weights[:, column] if some is None else weights[some, column]
            parts.append((self.cell.operations[column], some, weight[:, None, None]))
        sources = tuple(self.cell.edges[edge][0] for edge in edges)
        return Entering(sources, tuple(parts), weights.sum(1)[:, None, None])

    def _node(
        self, states: list[Tensor], reads: Entering, matrix: Tensor, mask: Tensor | None, mix: Mix
    ) -> Tensor:
        if not reads.sources:
            return self.weights.normalised(torch.zeros_like(states[0]))
        before = torch.stack([states[source] for source in reads.sources])  # (sources, rows, hidden)
        seen = before if mask is None else before * mask
        c, h = (seen @ matrix).chunk(2, -1)
        return self.weights.normalised(mix(before, torch.sigmoid(c), h, reads))

    def prune(self, edge: int, column: int) -> None:
        """Remove an operation from an edge, for good."""
        self.alive[edge, column] = False


class LanguageSupernet(Net):
    """All language models of a recurrent space at once, sharing weights.

    Args:
        space: of one recurrent cell.
        vocabulary: words.
        hidden: units of a state, and width of an embedded word.
        dropouts: while training.
        form: of the cell; both compute the same.
        norm: whether states are normalised over the batch.

    Raises:
        SpaceError: the space is not one of a recurrent cell.
    """

    def __init__(  # one network, all that describes it
        self,
        space: Space,
        vocabulary: int,
        hidden: int,
        dropouts: Dropouts,
        *,
        form: str = "fused",
        norm: bool = True,
    ) -> None:
        super().__init__()
        if space.skeleton != "recurrent" or [cell.name for cell in space.cells] != [CELL]:
            raise SpaceError(
                f"space {space.name!r} is not one of a recurrent cell: search it with --cell cnn"
            )
        self.space, self.dropouts = space, dropouts
        self.frame = Frame(vocabulary, hidden)
        self.cell = SearchCell(space[CELL], hidden, form=form, norm=norm)
        self.sizes = Sizes(vocabulary, hidden, hidden, self.cell.weights.columns)

    def forward(
        self,
        words: Tensor,
        mixtures: Mixtures,
        active: Mapping[str, Mask] | None = None,
        state: Tensor | None = None,
        masks: Masks | None = None,
    ) -> Spoken:
        """Scores of the words that follow.

        Args:
            words: ids (steps, rows).
            mixtures: by cell, (E, O) weights of its operations.
            active: by cell, (E, O) operations to compute; the others count as absent.
            state: what the window before left; zeros unless given.
            masks: what is dropped; drawn from torch's global state unless given. Not used in evaluation.
        """
        masks = settled_masks(self, masks, words.shape[1])
        x = self.frame.embedded(words, masks)
        state = self.begin(words.shape[1]) if state is None else state
        only = None if active is None else active[CELL]
        outputs, state = cast(tuple[Tensor, Tensor], self.cell(x, state, mixtures[CELL], only, masks))
        return self.frame.spoken(outputs, state, masks)

    def begin(self, rows: int) -> Tensor:
        """The state before the first word: zeros (rows, hidden)."""
        return self.frame.embedding.new_zeros(rows, self.sizes.hidden)

    @property
    def alive(self) -> dict[str, Mask]:
        """By cell, (E, O): the operations that have not been pruned."""
        return {CELL: self.cell.alive}

    def prune(self, cell: str, edge: int, column: int) -> None:
        """Remove an operation from an edge, for good."""
        if cell == CELL:
            self.cell.prune(edge, column)

    def plain_state(self) -> dict[str, Tensor]:
        """All weights and statistics; both forms have the same names, and a derived model those it uses."""
        return dict(self.state_dict())

    def load_plain_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `plain_state` gave."""
        self.load_state_dict(dict(state))

    def word_macs(self) -> int:
        """Multiply-adds of one word through what is left: products of states, and the decoder."""
        return search_macs(self.space[CELL], self.alive[CELL], self.sizes)


def search_macs(cell: Cell, alive: Mask, sizes: Sizes) -> int:
    """Multiply-adds of one word through a mixed cell and the decoder.

    An edge costs one product as long as any operation but zero is left on it.
    """
    counts = np.array([name != ZERO for name in cell.operations])
    edges = int((alive & counts[None, :]).any(1).sum())
    square = sizes.hidden * 2 * sizes.hidden
    return (sizes.width + sizes.hidden) * 2 * sizes.hidden + edges * square + sizes.vocabulary * sizes.width


def derived_state(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Of a supernet's weights, those that a derived model has: copied under the same names."""
    return {name: state[name].clone() for name in model.state_dict()}
