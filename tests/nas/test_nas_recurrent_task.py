"""The task of a language model in the common loop: windows, streams of states, every strategy, resuming."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rung.errors import DataError
from rung.nas.checkpoint import load, save
from rung.nas.choice import choice_of, one_hot, random_choice
from rung.nas.counting import count_recurrent
from rung.nas.data.text import Corpus
from rung.nas.gap import measured, training_gap
from rung.nas.genotype import Genotype
from rung.nas.handing import hand_over
from rung.nas.loop import Plan, derive, one_epoch, run, start
from rung.nas.recurrent.language import LanguageModel, perplexity
from rung.nas.recurrent.presets import LanguageRecipe
from rung.nas.recurrent.supernet import LanguageSupernet
from rung.nas.recurrent.task import LanguageTask, language_task
from rung.nas.space import Cell, Space
from rung.nas.strategies.table import make
from rung.nas.task import Mixed, Short

torch.set_num_threads(1)

SPACE = Space(
    "three",
    (Cell("recurrent", 3, ("none", "tanh", "relu", "identity"), inputs=1, keep=1, output="mean"),),
    "recurrent",
)
RECIPE = LanguageRecipe(
    epochs=3,
    batch=4,
    rate=5.0,
    rate_min=5.0,
    alpha_rate=0.05,
    hidden=8,
    bptt=8,
    dropout=0.1,
    dropout_hidden=0.1,
    dropout_inputs=0.1,
    dropout_embedding=0.1,
    dropout_words=0.1,
    dropout_weights=0.1,
    retrain_hidden=8,
    retrain_batch=4,
    retrain_epochs=2,
)


def _corpus(train: int = 200, held_out: int = 60) -> Corpus:
    period = [0, 1, 2, 0, 3, 4]
    words = tuple("abcde")
    return Corpus(
        "periods",
        np.resize(period, train).astype(np.int64),
        np.resize(period, held_out).astype(np.int64),
        np.resize(period, held_out).astype(np.int64),
        words,
    )


def _task(seed: int = 0, recipe: LanguageRecipe = RECIPE, dtype: torch.dtype = torch.float32) -> LanguageTask:
    return LanguageTask(_corpus(), recipe, seed=seed, dtype=dtype)


def _plan(strategy: str = "darts1", epochs: int = 3, seed: int = 0) -> Plan:
    recipe = replace(RECIPE, epochs=epochs)
    return Plan(_task(seed, recipe), SPACE, make(strategy, {}, epochs), recipe, seed)


def _uniform() -> Mixed:
    return Mixed({"recurrent": torch.full((6, 4), 0.25)})


def test_an_epoch_reads_every_word_once_in_windows_that_follow_each_other() -> None:
    task = _task()
    first = [pair[0] for pair in task.pairs(0)]
    assert len(first) == task.steps
    assert torch.equal(torch.cat([batch.x for batch in first]), task.train[: sum(len(b.x) for b in first)])
    assert torch.equal(torch.cat([batch.y for batch in first])[:-1], torch.cat([b.x for b in first])[1:])
    assert sum(len(batch.x) for batch in first) >= len(task.train) - 2
    assert all(batch.pace == len(batch.x) / 8 for batch in first)


def test_windows_of_the_alphas_go_round_their_part() -> None:
    task = _task()
    second = [pair[1] for pair in task.pairs(0)]
    text = torch.cat([batch.x for batch in second])
    around = len(task.valid) - 1
    assert len(text) > around
    assert torch.equal(text[:around], task.valid[:around])
    assert torch.equal(text[around : around + 5], task.valid[:5])


def test_batches_are_a_function_of_seed_and_epoch() -> None:
    one, two = list(_task().pairs(1)), list(_task().pairs(1))
    for (a, b), (c, d) in zip(one, two, strict=True):
        for x, y in ((a, c), (b, d)):
            assert torch.equal(x.x, y.x)
            assert x.masks.hidden is not None and torch.equal(x.masks.hidden, y.masks.hidden)  # noqa: PT018
    others = [next(iter(_task().pairs(2)))[0], next(iter(_task(1).pairs(1)))[0]]
    assert not any(torch.equal(one[0][0].masks.hidden, other.masks.hidden) for other in others)  # type: ignore[arg-type]
    assert sorted(len(a.x) for a, _ in one) == sorted(len(a.x) for a, _ in _task().pairs(5))


def test_states_are_carried_without_gradient_each_stream_its_own() -> None:
    task = _task()
    net = task.supernet(SPACE, "fused", 0)
    pairs = task.pairs(0)
    first, second = next(pairs)
    assert first.state is None and second.state is None  # noqa: PT018
    task.loss(net, _uniform(), second)
    task.loss(net, _uniform(), first, training=True)
    third, fourth = next(pairs)
    assert third.state is first.after and fourth.state is second.after  # noqa: PT018
    assert third.state is not None and not third.state.requires_grad  # noqa: PT018
    assert not torch.equal(third.state, fourth.state)


def test_passes_of_a_step_drop_the_same() -> None:
    """What second-order DARTS subtracts differs by the weights alone."""
    task = _task()
    net = task.supernet(SPACE, "fused", 0)
    batch, _ = next(task.pairs(0))
    losses = [task.loss(net, _uniform(), batch).item() for _ in range(2)]
    assert losses[0] == losses[1]
    unlike = net(batch.x, _uniform().mixtures).logits
    assert not torch.equal(unlike, net(batch.x, _uniform().mixtures).logits)


def test_the_penalties_belong_to_the_step_of_the_weights() -> None:
    task = _task(recipe=replace(RECIPE, activation=1.0, temporal=2.0))
    net = task.supernet(SPACE, "fused", 0)
    batch, _ = next(task.pairs(0))
    plain, full = (task.loss(net, _uniform(), batch, training=t).item() for t in (False, True))
    spoken = net(batch.x, _uniform().mixtures, None, None, batch.masks)
    m, h = spoken.dropped.detach(), spoken.outputs.detach()
    expected = (m**2).mean() + 2.0 * ((h[1:] - h[:-1]) ** 2).mean()
    assert full - plain == pytest.approx(expected.item(), rel=1e-3)


def test_a_supernet_is_a_function_of_the_seed_alike_in_both_forms() -> None:
    task = _task()
    one, two = task.supernet(SPACE, "plain", 3), task.supernet(SPACE, "fused", 3)
    torch.manual_seed(77)
    other = task.supernet(SPACE, "fused", 4)
    names = one.plain_state()
    assert all(torch.equal(value, two.plain_state()[name]) for name, value in names.items())
    assert not torch.equal(other.plain_state()["frame.embedding"], names["frame.embedding"])


def test_evaluation_is_of_all_validation_words_and_leaves_the_mode() -> None:
    task = _task()
    net = task.supernet(SPACE, "fused", 0)
    scores = task.evaluate(net, _uniform())
    assert net.training and scores.accuracy is None  # noqa: PT018
    net.eval()
    with torch.no_grad():
        said = net(task.held_out[:-1], _uniform().mixtures).log_probabilities
    expected = -said.gather(-1, task.held_out[1:, :, None]).mean().item()
    assert scores.loss == pytest.approx(expected, rel=1e-5)


def test_one_architecture_is_judged_by_its_own_statistics() -> None:
    """Whatever the running ones, of all that share the weights, have become; and they stay as they are."""
    task = _task()
    net = task.supernet(SPACE, "plain", 0)
    norm = net.cell.weights.norm  # type: ignore[union-attr]
    mixed = one_hot(SPACE, random_choice(SPACE, torch.Generator().manual_seed(0)))
    before = task.evaluate(net, mixed).loss
    norm.running_mean.fill_(7.0)  # type: ignore[union-attr,operator]
    norm.running_var.fill_(1e-9)  # type: ignore[union-attr,operator]
    assert task.evaluate(net, mixed).loss == before
    assert before < 2 * math.log(5)
    assert float(norm.running_mean.mean()) == 7.0  # type: ignore[union-attr,operator]
    assert net.training
    assert norm.training  # type: ignore[union-attr]
    net.eval()
    task.evaluate(net, mixed)
    assert not norm.training  # type: ignore[union-attr]
    assert task.evaluate(net, _uniform()).loss != pytest.approx(before, rel=0.5)  # by those of training


@pytest.mark.parametrize("strategy", ["random", "enas"])
def test_what_shares_statistics_has_a_perplexity_of_its_own(strategy: str) -> None:
    """As a derived model, with the weights copied, has."""
    plan = _plan(strategy, epochs=2)
    state = run(plan, start(plan), lambda *_: True)
    genotype = derive(plan, state)
    searched = plan.task.evaluate(state.net, one_hot(SPACE, choice_of(SPACE, genotype)))
    own, _ = measured(plan, state, genotype)
    assert searched.loss == pytest.approx(own.loss, rel=1e-5)
    assert own.loss < 2 * math.log(5)


@pytest.mark.parametrize("strategy", ["darts1", "darts", "asap", "random", "snas", "gdas", "enas"])
def test_strategies_search_a_recurrent_cell(strategy: str) -> None:
    plan = _plan(strategy)
    state = run(plan, start(plan), lambda state, record: True)
    genotype = derive(plan, state)
    cell = genotype["recurrent"]
    assert [len(edges) for edges in cell.nodes] == [1, 1, 1]
    assert cell.concat == (1, 2, 3)
    assert "none" not in genotype.operations
    assert math.isfinite(state.records[-1].loss)
    assert state.ledger.images == sum(batch.size for pair in plan.task.pairs(0) for batch in pair) * 3 or (
        strategy != "darts1"
    )
    scores, gap = measured(plan, state, genotype)
    assert math.isfinite(scores.loss) and gap.outputs is not None  # noqa: PT018


def test_asap_leaves_no_gap() -> None:
    """The pruned supernet and the derived model with its weights say the same, while training too."""
    plan = _plan("asap", epochs=4)
    state = run(plan, start(plan), lambda state, record: True)
    genotype = derive(plan, state)
    alive = state.net.alive["recurrent"]
    assert int(alive.sum()) == 3
    scores, gap = measured(plan, state, genotype)
    assert gap.outputs is not None and gap.outputs < 1e-5  # noqa: PT018
    assert training_gap(plan, state, genotype) < 1e-5
    assert scores.loss == pytest.approx(state.records[-1].loss, abs=1e-6)
    assert state.ledger.multiply_adds < 3 * state.ledger.images * plan.task.macs(start(plan).net, SPACE)


def test_darts_has_a_gap() -> None:
    plan = _plan("darts1")
    state = run(plan, start(plan), lambda state, record: True)
    _, gap = measured(plan, state, derive(plan, state))
    assert gap.outputs is not None and gap.outputs > 1e-2  # noqa: PT018


@pytest.mark.parametrize("strategy", ["darts1", "asap"])
def test_a_search_goes_on_bit_for_bit(strategy: str, tmp_path: Path) -> None:
    plan = _plan(strategy, epochs=4)
    whole = start(plan)
    for _ in range(4):
        one_epoch(plan, whole)
    half = start(plan)
    for _ in range(2):
        one_epoch(plan, half)
    save(plan, half, tmp_path)
    torch.manual_seed(1)
    again = load(plan, tmp_path)
    for _ in range(2):
        one_epoch(plan, again)
    assert [r.loss for r in again.records] == [r.loss for r in whole.records]
    assert all(torch.equal(value, whole.alphas[name]) for name, value in again.alphas.items())
    for name, value in again.net.plain_state().items():
        assert torch.equal(value, whole.net.plain_state()[name])


def test_searching_learns_the_text() -> None:
    recipe = replace(
        RECIPE,
        epochs=10,
        hidden=12,
        dropout=0.0,
        dropout_hidden=0.0,
        dropout_inputs=0.0,
        dropout_embedding=0.0,
        dropout_words=0.0,
        dropout_weights=0.0,
    )
    task = LanguageTask(_corpus(400), recipe, seed=0)
    plan = Plan(task, SPACE, make("darts1", {}, 10), recipe, 0)
    state = run(plan, start(plan), lambda state, record: True)
    losses = [math.exp(record.train_loss) for record in state.records]
    assert losses[0] > 2
    assert losses[-1] < 1.2


def test_retraining_tests_the_best_weights() -> None:
    task = _task()
    genotype = Genotype.from_dict({"recurrent": [["tanh", 0], ["relu", 1]], "concat": [1, 2]})
    told: list[tuple[int, int]] = []
    short = Short(told=lambda done, epochs: told.append((done, epochs)))
    scores, notes = task.retrain(genotype, RECIPE, 0, short)
    assert told == [(done, RECIPE.training.epochs) for done in range(1, RECIPE.training.epochs + 1)]
    assert scores is not None and 1 < perplexity(scores.loss) < 8  # noqa: PT018
    assert "retrained for 2 epochs" in notes[0]
    assert scores == task.retrain(genotype, RECIPE, 0)[0]
    parameters, macs = task.size(genotype, RECIPE)
    counted = count_recurrent(genotype, 8, 5)
    assert (parameters, macs) == (counted.parameters, counted.multiply_adds)


def test_retraining_for_one_epoch_is_told_of_one() -> None:
    genotype = Genotype.from_dict({"recurrent": [["tanh", 0]], "concat": [1]})
    recipe = replace(RECIPE, retrain_epochs=1)
    assert _task().retrain(genotype, recipe, 0)[1][0].startswith("retrained for 1 epoch: perplexity")


def test_retraining_without_time_says_so() -> None:
    genotype = Genotype.from_dict({"recurrent": [["tanh", 0]], "concat": [1]})
    scores, notes = _task().retrain(genotype, RECIPE, 0, Short(0.0))
    assert scores is None
    assert "not retrained" in notes[0]


def test_a_loss_that_is_not_finite_is_no_result() -> None:
    genotype = Genotype.from_dict({"recurrent": [["identity", 0]], "concat": [1]})
    scores, notes = _task().retrain(genotype, replace(RECIPE, rate=1e30, clip=0.0), 0)
    assert scores is None
    assert "not retrained: the training loss" in notes[0]


def test_a_derived_model_takes_over_from_either_form() -> None:
    task = _task()
    genotype = Genotype.from_dict({"recurrent": [["tanh", 0], ["relu", 1], ["tanh", 0]], "concat": [1, 2, 3]})
    for form in ("plain", "fused"):
        net = task.supernet(SPACE, form, 0)
        assert isinstance(net, LanguageSupernet)
        model = hand_over(net, genotype)
        assert isinstance(model, LanguageModel)
        assert torch.equal(model.frame.embedding, net.frame.embedding)
        assert model.frame.embedding is not net.frame.embedding


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "periods.txt"
    path.write_text("a b c a d e\n" * 200)
    task, name, notes = language_task(path, RECIPE, 0, 300, "cpu")
    assert name == "periods" and notes  # noqa: PT018
    assert task.train.shape == (75, 4)
    assert task.spoken == "300 + 140 words for weights and alphas, 7 of vocabulary"


def test_texts_that_are_too_short_are_refused() -> None:
    with pytest.raises(DataError, match="smaller batch"):
        LanguageTask(_corpus(held_out=6), RECIPE, seed=0)
    with pytest.raises(DataError, match="--batch 2"):
        LanguageTask(_corpus(), replace(RECIPE, batch=1), seed=0)
