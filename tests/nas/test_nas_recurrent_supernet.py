"""The searched recurrent cell: its forms, pruning, and what is left of it against the derived cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from rung.errors import SpaceError
from rung.nas.genotype import Genotype
from rung.nas.recurrent.language import language_model
from rung.nas.recurrent.masks import Dropouts, Masks
from rung.nas.recurrent.supernet import LanguageSupernet, SearchCell, derived_state, search_macs
from rung.nas.space import SPACES, Cell, Space
from rung.nas.supernet import frozen_statistics

torch.set_num_threads(1)

SPACE = SPACES["recurrent"]
CELL = SPACE["recurrent"]
DROPS = Dropouts(output=0.3, hidden=0.3, inputs=0.3, embedding=0.2, words=0.1, weights=0.2)
NONE = Dropouts(output=0, hidden=0, inputs=0, embedding=0)
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


def _mixture(seed: int = 0) -> Tensor:
    logits = torch.randn(36, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.softmax(logits, 1)


def _one_hot(genotype: Genotype) -> Tensor:
    mixture = torch.zeros(36, 5, dtype=torch.float64)
    for node, ((name, source),) in enumerate(genotype["recurrent"].nodes):
        mixture[CELL.edges.index((source, node + 1)), CELL.operations.index(name)] = 1.0
    return mixture


def _net(form: str = "fused", *, norm: bool = True, dropouts: Dropouts = NONE) -> LanguageSupernet:
    torch.manual_seed(3)
    net = LanguageSupernet(SPACE, 13, 5, dropouts, form=form, norm=norm).double()
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return net


def _words(steps: int = 4, rows: int = 3) -> Tensor:
    return torch.randint(13, (steps, rows), generator=torch.Generator().manual_seed(9))


def test_mixed_cell_without_norm_is_the_sum_written_out() -> None:
    """Node by node, edge by edge, operation by operation, with one sequence of two words."""
    net, mixture = _net(norm=False), _mixture()
    words = _words(2, 1)
    outputs = net(words, {"recurrent": mixture}).outputs.detach()[:, 0]
    functions = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda x: x}
    h = torch.zeros(5, dtype=torch.float64)
    for t in range(2):
        c, candidate = (torch.cat([net.frame.embedding[words[t, 0]], h]) @ net.cell.weights.first).chunk(2)
        states = [h + torch.sigmoid(c) * (torch.tanh(candidate) - h)]
        edge = 0
        for node in range(8):
            total = torch.zeros(5, dtype=torch.float64)
            for source in range(node + 1):
                s = states[source]
                c, candidate = (s @ net.cell.weights.nodes[str(node)]).chunk(2)
                for column, name in enumerate(CELL.operations):
                    if name != "none":
                        y = s + torch.sigmoid(c) * (functions[name](candidate) - s)
                        total = total + mixture[edge, column] * y
                edge += 1
            states.append(total)
        h = torch.stack(states[1:]).mean(0)
        assert torch.allclose(outputs[t], h, atol=1e-10, rtol=0)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("pruned", [False, True])
def test_fused_is_plain(norm: bool, pruned: bool) -> None:
    """Loss and gradients of alphas and weights, to 1e-10 in float64, under dropout too."""
    found = []
    for form in ("plain", "fused"):
        net = _net(form, norm=norm, dropouts=DROPS)
        if pruned:
            for number in np.random.default_rng(0).permutation(180)[:130].tolist():
                net.prune("recurrent", *divmod(number, 5))
        mixture = (_mixture() * torch.from_numpy(net.alive["recurrent"])).requires_grad_()
        torch.manual_seed(1)
        loss = net(_words(), {"recurrent": mixture}).log_probabilities[..., 2].mean()
        leaves = [mixture, *net.parameters()]
        found.append([loss.detach(), *torch.autograd.grad(loss, leaves, allow_unused=True)])
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert torch.allclose(one, other, atol=1e-10, rtol=0)


@pytest.mark.parametrize("form", ["plain", "fused"])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_one_hot_mixtures_are_the_derived_cell(form: str, norm: bool, training: bool) -> None:
    """With the search's normalisations, and without; dropout alike."""
    net = _net(form, norm=norm, dropouts=DROPS)
    with torch.no_grad():
        net(_words(), {"recurrent": _mixture()})  # running statistics that are not trivial
    model = language_model(V2, 13, 5, DROPS, norm=norm).double()
    model.load_state_dict(derived_state(net.plain_state(), model))
    net.train(training)
    model.train(training)
    torch.manual_seed(1)
    searched = net(_words(), {"recurrent": _one_hot(V2)}).logits
    torch.manual_seed(1)
    assert torch.allclose(searched, model(_words()).logits, atol=1e-10, rtol=0)


@pytest.mark.parametrize("form", ["plain", "fused"])
def test_what_is_left_after_pruning_is_the_derived_network(form: str) -> None:
    """No gap: one operation on one edge a node, all others removed."""
    net = _net(form)
    left = _one_hot(V2)
    for edge, column in torch.nonzero(left == 0).tolist():
        net.prune("recurrent", edge, column)
    model = language_model(V2, 13, 5, NONE, norm=True).double()
    model.load_state_dict(derived_state(net.plain_state(), model))
    assert torch.allclose(
        net(_words(), {"recurrent": left}).logits, model(_words()).logits, atol=1e-10, rtol=0
    )


@pytest.mark.parametrize("form", ["plain", "fused"])
def test_active_counts_others_as_absent(form: str) -> None:
    net, mixture = _net(form), _mixture()
    active = np.random.default_rng(1).random((36, 5)) < 0.4
    some = net(_words(), {"recurrent": mixture}, {"recurrent": active}).logits
    masked = net(_words(), {"recurrent": mixture * torch.from_numpy(active)}).logits
    assert torch.allclose(some, masked, atol=1e-12, rtol=0)


def test_pruned_operations_ignore_their_mixture_and_cost_nothing() -> None:
    net = _net()
    sizes = net.sizes
    whole = net.word_macs()
    assert whole == 10 * 10 + 36 * 5 * 10 + 13 * 5
    for column in range(1, 5):
        net.prune("recurrent", 0, column)
    assert net.word_macs() == whole - 50
    assert not net.alive["recurrent"][0, 1:].any()
    assert net.alive["recurrent"][0, 0]
    mixture = _mixture()
    one = net(_words(), {"recurrent": mixture}).logits
    changed = mixture.clone()
    changed[0] = 7.0
    assert torch.equal(one, net(_words(), {"recurrent": changed}).logits)
    assert search_macs(CELL, np.zeros((36, 5), bool), sizes) == 100 + 65


def test_normalisation_sees_the_batch_and_keeps_one_statistic() -> None:
    net = _net()
    net(_words(1, 4), {"recurrent": _mixture()})
    norm = net.cell.weights.norm
    assert norm is not None
    assert int(norm.num_batches_tracked) == 9
    state = net.cell.weights.normalised(torch.randn(50, 5, dtype=torch.float64) * 3 + 2)
    assert torch.allclose(state.mean(0), torch.zeros(5, dtype=torch.float64), atol=1e-10)
    assert not list(norm.parameters())


def test_weights_go_from_form_to_form() -> None:
    one, other = _net("plain"), LanguageSupernet(SPACE, 13, 5, NONE, form="fused").double()
    one(_words(), {"recurrent": _mixture()})
    other.load_plain_state(one.plain_state())
    one.eval(), other.eval()
    mixtures = {"recurrent": _mixture()}
    assert torch.allclose(
        one(_words(), mixtures).logits, other(_words(), mixtures).logits, atol=1e-10, rtol=0
    )


def test_masks_given_are_masks_used() -> None:
    net = _net(dropouts=DROPS)
    half = Masks(output=torch.zeros(3, 5, dtype=torch.float64))
    spoken = net(_words(), {"recurrent": _mixture()}, None, None, half)
    assert (spoken.dropped == 0).all()
    assert torch.equal(spoken.logits[0], net.frame.bias.expand(3, 13))


def test_other_spaces_are_refused() -> None:
    with pytest.raises(SpaceError, match="--cell cnn"):
        LanguageSupernet(SPACES["darts"], 13, 5, NONE)
    own = Space(
        "own", (Cell("recurrent", 2, ("tanh", "swish"), inputs=1, keep=1, output="mean"),), "recurrent"
    )
    with pytest.raises(SpaceError, match="swish"):
        LanguageSupernet(own, 13, 5, NONE)
    with pytest.raises(SpaceError):
        SearchCell(CELL, 4, form="fast")


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_written_out_gradients_are_those_of_differences(norm: bool, training: bool) -> None:
    """First and second derivatives, some nodes and activations missing."""
    operations = ("none", "tanh", "relu", "sigmoid", "identity")
    cell = SearchCell(Cell("recurrent", 4, operations, inputs=1, keep=1, output="mean"), 2, norm=norm)
    cell.double().train(training)
    rng = np.random.default_rng(2)
    for edge in (0, 2, 4, 7):
        for column in range(1, 5):
            cell.prune(edge, column)
    for number in rng.permutation(50)[:12].tolist():
        cell.prune(*divmod(number, 5))
    generator = torch.Generator().manual_seed(5)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    x, h, mixture, mask = random(2, 3, 2), random(3, 2), random(10, 5), random(3, 2).detach()
    matrices = [random(*weight.shape) for weight in cell.parameters()]

    def outputs(x: Tensor, h: Tensor, mixture: Tensor, *weights: Tensor) -> Tensor:
        named = dict(zip(dict(cell.named_parameters()), weights, strict=True))
        masks = Masks(hidden=mask)
        said: Tensor = torch.func.functional_call(cell, named, (x, h, mixture, None, masks))[0]
        return said

    assert torch.autograd.gradcheck(outputs, (x, h, mixture, *matrices), eps=1e-7, atol=1e-5, fast_mode=True)
    assert torch.autograd.gradgradcheck(
        outputs, (x, h, mixture, *matrices), eps=1e-7, atol=1e-4, fast_mode=True
    )


def test_running_statistics_move_alike_and_rest_while_frozen() -> None:
    nets = [_net(form) for form in ("plain", "fused")]
    for net in nets:
        net(_words(), {"recurrent": _mixture()})
    one, two = (net.plain_state() for net in nets)
    assert one["cell.weights.norm.num_batches_tracked"] == two["cell.weights.norm.num_batches_tracked"] == 36
    for name in ("running_mean", "running_var"):
        assert torch.allclose(
            one[f"cell.weights.norm.{name}"], two[f"cell.weights.norm.{name}"], atol=1e-10, rtol=0
        )
    for net in nets:
        kept = {name: value.clone() for name, value in net.plain_state().items()}
        with frozen_statistics(net):
            net(_words(), {"recurrent": _mixture(1)})
        assert all(torch.equal(value, kept[name]) for name, value in net.plain_state().items())


def test_gradients_of_mixtures_alone() -> None:
    """With weights that learn nothing, as in a step of the alphas."""
    net = _net()
    found = []
    for learning in (True, False):
        net.requires_grad_(learning)
        mixture = _mixture().requires_grad_()
        loss = net(_words(), {"recurrent": mixture}).log_probabilities[..., 2].mean()
        found += torch.autograd.grad(loss, [mixture])
    assert torch.equal(*found)
