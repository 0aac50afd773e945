"""The searched recurrent cell: every node sums over all states before it and all activations.

Liu, Simonyan, Yang 2019, sections 2.2 and 3.1; appendix A.1.2. The matrix of a node is shared by all edges
and activations that enter it, so that pruning saves products of states that nobody reads any more, and
activations, but no weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn

from rung.errors import SpaceError
from rung.nas.genotype import ZERO
from rung.nas.plain import Mask, candidates_mask
from rung.nas.recurrent.cells import ACTIVATIONS, Weights
from rung.nas.recurrent.language import CELL, Frame, Spoken, settled_masks
from rung.nas.recurrent.masks import NOTHING, Dropouts, Masks, Sizes
from rung.nas.recurrent.stepwise import Inputs, Wiring, stepwise, term_by_term
from rung.nas.recurrent.unrolled import Norm, unrolled
from rung.nas.space import Cell, Space
from rung.nas.task import Mixtures, Net

FORMS: Final = ("plain", "fused")


class SearchCell(nn.Module):
    """The mixed cell over time.

    Args:
        cell: what is searched.
        hidden: units of a state, and width of what it reads.
        form: "plain" computes activation by activation, as the reference; "fused" the same sums rearranged,
            all steps as one function of autograd.
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
        nodes = [node for node, (reads, _) in enumerate(entering) if reads[0]]
        wiring = Wiring(tuple(reads for reads, _ in entering), self.cell.concat)
        given = Inputs(
            self.weights.begun(x, masks),
            h,
            masks.hidden,
            first,
            tuple(entering[node][1] for node in nodes),
            tuple(matrices[node] for node in nodes),
        )
        norm = self.weights.norm
        if self.form == "plain":
            outputs = stepwise(wiring, norm, given, term_by_term)
        else:
            outputs = unrolled(wiring, None if norm is None else Norm.of(norm), given)
            if norm is not None and norm.training and norm.num_batches_tracked is not None:
                norm.num_batches_tracked += norm.track_running_stats * len(x) * (1 + self.cell.nodes)
        return outputs, outputs[-1]

    def _entering(
        self, target: int, mixture: Tensor, used: Mask
    ) -> tuple[tuple[tuple[int, ...], tuple[str, ...]], Tensor]:
        """What a node reads, and the weights (states read, activations)."""
        edges = [edge for edge in self.cell.entering(target) if used[edge].any()]
        columns = np.flatnonzero(used[edges].any(0))
        there = torch.from_numpy(used[edges][:, columns]).to(mixture.device)
        weights = torch.where(there, mixture[edges][:, columns], torch.zeros_like(mixture[0, 0]))
        sources = tuple(self.cell.edges[edge][0] for edge in edges)
        return (sources, tuple(self.cell.operations[column] for column in columns)), weights

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
