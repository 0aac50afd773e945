"""Recurrent cells against loops written out in NumPy, masks, counts, and the LSTM of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from rung.errors import SpaceError, UserError
from rung.nas.counting import count_recurrent, parameters
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.recurrent.cells import RecurrentCell
from rung.nas.recurrent.language import (
    LanguageModel,
    activation_penalty,
    language_model,
    lstm_model,
    perplexity,
    word_macs,
)
from rung.nas.recurrent.lstm import LSTM, lstm_width
from rung.nas.recurrent.masks import NOTHING, Dropouts, Masks, Sizes, draw
from rung.nas.recurrent.supernet import LanguageSupernet
from rung.nas.space import SPACES

torch.set_num_threads(1)

Array = NDArray[np.float64]
NONE = Dropouts(output=0, hidden=0, inputs=0, embedding=0)
V1 = Genotype.from_dict(
    {
        "recurrent": [
            ["relu", 0],
            ["relu", 1],
            ["tanh", 2],
            ["relu", 3],
            ["relu", 4],
            ["identity", 1],
            ["relu", 5],
            ["relu", 1],
        ],
        "concat": list(range(1, 9)),
    }
)
V2 = Genotype.from_dict(
    {
        "recurrent": [
            ["sigmoid", 0],
            ["relu", 1],
            ["relu", 1],
            ["identity", 1],
            ["tanh", 2],
            ["sigmoid", 5],
            ["tanh", 3],
            ["relu", 5],
        ],
        "concat": list(range(1, 9)),
    }
)
ENAS = Genotype.from_dict(
    {
        "recurrent": [
            ["tanh", 0],
            ["tanh", 1],
            ["relu", 1],
            ["tanh", 3],
            ["tanh", 3],
            ["relu", 3],
            ["relu", 4],
            ["relu", 7],
            ["relu", 8],
            ["relu", 8],
            ["relu", 8],
        ],
        "concat": [2, 5, 6, 9, 10, 11],
    }
)
FUNCTIONS = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "identity": lambda x: x,
}


def by_hand(
    cell: RecurrentCell, x: Array, h: Array, mx: Array, mh: Array
) -> Array:  # all outputs (steps, rows, hidden)
    """The formulas of the paper's appendix, one sequence and one node at a time."""
    w0 = cell.weights.first.detach().numpy()
    nodes = {int(name): w.detach().numpy() for name, w in cell.weights.nodes.items()}
    size = h.shape[1]
    outputs = np.zeros((len(x), len(h), size))
    for row in range(len(h)):
        state = h[row]
        for t in range(len(x)):
            both = np.concatenate([x[t, row] * mx[row], state * mh[row]]) @ w0
            states = [state + FUNCTIONS["sigmoid"](both[:size]) * (np.tanh(both[size:]) - state)]
            for number, edges in enumerate(cell.genotype.nodes):
                total = np.zeros(size)
                for name, source in edges:
                    if name == "none":
                        continue
                    s = states[source]
                    both = (s * mh[row]) @ nodes[number]
                    total += s + FUNCTIONS["sigmoid"](both[:size]) * (FUNCTIONS[name](both[size:]) - s)
                states.append(total)
            state = np.mean([states[node] for node in cell.genotype.concat], axis=0)
            outputs[t, row] = state
    return outputs


SUMMED = CellGenotype(
    ((("tanh", 0),), (("relu", 0), ("sigmoid", 0)), (("none", 1),), (("identity", 2), ("tanh", 3))),
    (1, 2, 3, 4),
    1,
)


@pytest.mark.parametrize("genotype", [V1["recurrent"], V2["recurrent"], ENAS["recurrent"], SUMMED])
def test_the_cell_is_the_papers_formulas(genotype: CellGenotype) -> None:
    torch.manual_seed(1)
    cell = RecurrentCell(genotype, 5, 4).double()
    for weight in cell.parameters():
        nn.init.normal_(weight)
    x, h = torch.randn(6, 3, 5, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    mx, mh = torch.rand(3, 5, dtype=torch.float64), torch.rand(3, 4, dtype=torch.float64)
    expected = by_hand(cell, x.numpy(), h.numpy(), mx.numpy(), mh.numpy())
    outputs, last = cell(x, h, Masks(inputs=mx, hidden=mh))
    assert np.abs(outputs.detach().numpy() - expected).max() < 1e-10
    assert torch.equal(last, outputs[-1])
    plain, _ = cell(x, h)
    ones = by_hand(cell, x.numpy(), h.numpy(), np.ones((3, 5)), np.ones((3, 4)))
    assert np.abs(plain.detach().numpy() - ones).max() < 1e-10


def test_two_windows_are_one_long_window() -> None:
    cell = RecurrentCell(V2["recurrent"], 4, 4).double()
    x, h = torch.randn(7, 2, 4, dtype=torch.float64), torch.zeros(2, 4, dtype=torch.float64)
    whole, _ = cell(x, h)
    first, between = cell(x[:3], h)
    second, _ = cell(x[3:], between)
    assert torch.allclose(whole, torch.cat([first, second]), atol=1e-12, rtol=0)


def test_masks_are_the_same_at_every_step_and_differ_between_sequences() -> None:
    """A unit that is masked out of the input has no influence at any step; in another row it has."""
    cell = RecurrentCell(V2["recurrent"], 3, 3)
    mask = torch.ones(2, 3)
    mask[0, 1] = 0.0
    x = torch.randn(5, 2, 3, requires_grad=True)
    outputs, _ = cell(x, torch.zeros(2, 3), Masks(inputs=mask))
    (slope,) = torch.autograd.grad(outputs.sum(), x)
    assert (slope[:, 0, 1] == 0).all()
    assert (slope[:, 1, 1] != 0).all()
    assert (slope[:, 0, 0] != 0).all()


def test_drawn_masks_keep_the_mean_and_follow_the_generator() -> None:
    sizes = Sizes(400, 50, 60, 120)
    dropouts = Dropouts(output=0.75, hidden=0.25, inputs=0.5, embedding=0.2, words=0.1, weights=0.5)
    masks = draw(dropouts, sizes, 40, torch.Generator().manual_seed(3))
    again = draw(dropouts, sizes, 40, torch.Generator().manual_seed(3))
    shapes = [(400, 1), (40, 50), (40, 50), (40, 60), (40, 60), (60, 120)]
    keeps = [0.9, 0.8, 0.5, 0.75, 0.25, 0.5]
    for mask, same, shape, keep in zip(masks, again, shapes, keeps, strict=True):
        assert mask is not None
        assert same is not None
        assert mask.shape == shape
        assert torch.equal(mask, same)
        assert mask.unique().tolist() == pytest.approx([0.0, 1 / keep])
        assert float((mask > 0).float().mean()) == pytest.approx(keep, abs=0.05)
    assert draw(NONE, sizes, 4) == NOTHING


def test_a_dropout_of_one_is_refused() -> None:
    with pytest.raises(UserError, match=r"dropout of hidden is 1\.0"):
        Dropouts(hidden=1.0)


def test_dropped_weights_act_on_hidden_to_hidden_matrices_alone() -> None:
    """The same as a cell whose matrices were multiplied by the masks beforehand."""
    torch.manual_seed(0)
    cell = RecurrentCell(V2["recurrent"], 4, 3).double()
    x, h = torch.randn(4, 2, 4, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    mask = torch.bernoulli(torch.full((3, cell.columns), 0.5, dtype=torch.float64))
    dropped, _ = cell(x, h, Masks(weights=mask))
    with torch.no_grad():
        cell.weights.first[4:] *= mask[:, :6]
        for number, weight in enumerate(cell.weights.nodes.values()):
            weight *= mask[:, 6 * (number + 1) : 6 * (number + 2)]
    assert torch.allclose(dropped, cell(x, h)[0], atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("genotype", "vocabulary", "hidden", "expected"),
    [
        (V1, 10_000, 850, 22_960_000),
        (V2, 10_000, 850, 22_960_000),
        (ENAS, 10_000, 850, 27_295_000),
        (V1, 33_278, 700, 33_127_878),
        (V2, 33_278, 700, 33_127_878),
        (ENAS, 33_278, 700, 36_067_878),
    ],
)
def test_parameters_of_published_cells(
    genotype: Genotype, vocabulary: int, hidden: int, expected: int
) -> None:
    with torch.device("meta"):
        model = language_model(genotype, vocabulary, hidden, Dropouts())
    assert parameters(model) == expected
    counted = count_recurrent(genotype, hidden, vocabulary)
    assert (counted.parameters, counted.multiply_adds) == (expected, word_macs(model))


def test_parameters_of_the_searched_model() -> None:
    with torch.device("meta"):
        net = LanguageSupernet(SPACES["recurrent"], 10_000, 300, Dropouts())
    assert parameters(net) == 4_810_000


def test_a_node_of_zeros_has_no_matrix() -> None:
    cell = RecurrentCell(CellGenotype(((("tanh", 0),), (("none", 1),)), (1, 2), 1), 4, 4)
    assert list(cell.weights.nodes) == ["0"]


def test_unknown_activations_and_second_inputs_are_refused() -> None:
    with pytest.raises(SpaceError, match="unknown activation 'swish'"):
        RecurrentCell(CellGenotype(((("swish", 0),),), (1,), 1), 4, 4)
    with pytest.raises(SpaceError, match="one input"):
        RecurrentCell(CellGenotype(((("tanh", 0),),), (2,), 2), 4, 4)


def test_lstm_is_that_of_torch() -> None:
    torch.manual_seed(0)
    own = LSTM(5, 4).double()
    other = nn.LSTM(5, 4).double()
    names = {
        "weight_ih_l0": own.weight_ih,
        "weight_hh_l0": own.weight_hh,
        "bias_ih_l0": own.bias_ih,
        "bias_hh_l0": own.bias_hh,
    }
    other.load_state_dict({name: value.detach() for name, value in names.items()})
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    h, c = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    outputs, state = own(x, torch.cat([h, c], 1))
    expected, (h, c) = other(x, (h[None], c[None]))
    assert torch.allclose(outputs, expected, atol=1e-12, rtol=0)
    assert torch.allclose(state, torch.cat([h[0], c[0]], 1), atol=1e-12, rtol=0)


@pytest.mark.parametrize(("vocabulary", "hidden"), [(10_000, 850), (33_278, 700), (500, 24)])
def test_an_lstm_of_equal_size(vocabulary: int, hidden: int) -> None:
    with torch.device("meta"):
        wanted = parameters(language_model(V2, vocabulary, hidden, NONE))
        width = lstm_width(wanted, vocabulary)
        sizes = [parameters(lstm_model(vocabulary, width + d, NONE)) for d in (-1, 0, 1)]
    assert abs(sizes[1] - wanted) == min(abs(size - wanted) for size in sizes)


def _model(genotype: Genotype = V2, dropouts: Dropouts = NONE) -> LanguageModel:
    torch.manual_seed(0)
    return language_model(genotype, 11, 6, dropouts)


def test_the_decoder_is_the_embedding() -> None:
    model = _model()
    words = torch.randint(11, (4, 2))
    spoken = model(words)
    logits = spoken.outputs @ model.frame.embedding.t() + model.frame.bias
    assert torch.allclose(spoken.logits, logits, atol=1e-6)
    assert torch.allclose(spoken.log_probabilities.exp().sum(-1), torch.ones(4, 2), atol=1e-5)


def test_a_dropped_word_is_dropped_wherever_it_stands() -> None:
    model = _model()
    mask = torch.full((11, 1), 2.0)
    mask[3] = 0.0
    words = torch.tensor([[3, 1], [2, 3]])
    x = model.frame.embedded(words, Masks(words=mask))
    assert (x[0, 0] == 0).all()
    assert (x[1, 1] == 0).all()
    assert torch.equal(x[0, 1], 2.0 * model.frame.embedding[1])


def test_nothing_is_dropped_in_evaluation_and_masks_are_drawn_in_training() -> None:
    model = _model(
        dropouts=Dropouts(output=0.5, hidden=0.5, inputs=0.5, embedding=0.5, words=0.2, weights=0.3)
    )
    words = torch.randint(11, (4, 2))
    assert not torch.equal(model(words).logits, model(words).logits)
    torch.manual_seed(5)
    one = model(words).logits
    torch.manual_seed(5)
    assert torch.equal(one, model(words).logits)
    model.eval()
    plain = _model().eval()
    assert torch.equal(model(words).logits, plain(words).logits)


def test_penalties_are_the_formulas() -> None:
    spoken = _model(dropouts=Dropouts(output=0.5, hidden=0, inputs=0, embedding=0))(torch.randint(11, (5, 2)))
    m, h = spoken.dropped.detach().double().numpy(), spoken.outputs.detach().double().numpy()
    expected = 2.0 * np.mean(m**2)
    for t in range(4):
        expected += 3.0 * np.sum((h[t + 1] - h[t]) ** 2) / (4 * 2 * 6)
    assert activation_penalty(spoken, 2.0, 3.0).item() == pytest.approx(expected, rel=1e-5)
    assert activation_penalty(spoken, 0.0, 0.0).item() == 0.0
    single = _model()(torch.randint(11, (1, 2)))
    assert activation_penalty(single, 0.0, 3.0).item() == 0.0


def test_perplexity_of_a_uniform_guess_is_the_vocabulary() -> None:
    assert perplexity(float(np.log(11))) == pytest.approx(11)
    assert perplexity(1e4) == np.inf
