import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rung.errors import DataError, SpaceError, UserError
from rung.nas.counting import count
from rung.nas.data.pictures import Pictures
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.loop import Diverged
from rung.nas.network import CellNetwork, DerivedCell, paths_kept
from rung.nas.recipe import PRESETS
from rung.nas.retraining import retrain
from rung.nas.retraining_epochs import Job, Tick, begin, one_epoch, score, smoothed, train_step
from rung.nas.retraining_files import checkpoint_of, load_network, read
from rung.nas.retraining_limits import advice, auxiliary_fits, built, fitted, side_by_cell, training_bytes
from rung.nas.retraining_schedule import SCHEDULES, Schedule, schedule_of
from rung.nas.retraining_short import short_training
from rung.nas.task import Short

torch.set_num_threads(1)

TWO = Genotype.from_dict(
    {
        "normal": [["sep_conv_3x3", 0], ["skip_connect", 1], ["max_pool_3x3", 0], ["sep_conv_3x3", 2]],
        "normal_concat": [2, 3],
        "reduce": [["max_pool_3x3", 0], ["skip_connect", 1], ["skip_connect", 2], ["avg_pool_3x3", 0]],
        "reduce_concat": [2, 3],
    }
)
V2 = Genotype.from_text(
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), "
    "('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
SHORT = Schedule(channels=4, layers=2, epochs=3, batch=16, rate=0.05, drop_path=0.2, auxiliary=0.0, cutout=2)


def pictures(count: int = 48, classes: int = 3, side: int = 8, seed: int = 0, test: int = 12) -> Pictures:
    """Noise with a square of the class' colour, which a crop or a mirror leaves what it is."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(count + test) % classes)
    x = rng.integers(0, 128, (count + test, side, side, 3))
    x[np.arange(count + test), 2:5, 2:5, y] += 90
    x8 = x.astype(np.uint8)
    names = tuple("abcdefgh"[:classes])
    return Pictures("colours", x8[:count], y[:count], x8[count:], y[count:], names)


def job(schedule: Schedule = SHORT, genotype: Genotype = TWO, seed: int = 0) -> Job:
    from rung.nas.operations import OPERATIONS

    return Job(genotype, pictures(), schedule, seed, "cpu", OPERATIONS)


def weights(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# Rates, by hand.


def test_the_rate_falls_along_half_a_cosine_to_zero() -> None:
    schedule = Schedule(epochs=600)
    assert schedule.rate_of(0) == 0.025
    assert schedule.rate_of(300) == pytest.approx(0.0125)
    assert schedule.rate_of(150) == pytest.approx(0.025 * (1 + math.sqrt(0.5)) / 2)
    assert schedule.rate_of(600) == pytest.approx(0.0, abs=1e-12)


def test_the_rate_warms_up_first() -> None:
    schedule = Schedule(epochs=10, rate=0.3, warm_up=2)
    assert [schedule.rate_of(epoch) for epoch in range(3)] == pytest.approx([0.1, 0.2, 0.3])
    assert schedule.rate_of(6) == pytest.approx(0.15)


def test_paths_are_dropped_more_from_epoch_to_epoch() -> None:
    schedule = Schedule(epochs=600, drop_path=0.2)
    assert [schedule.drop_path_of(epoch) for epoch in (0, 300, 599)] == pytest.approx(
        [0, 0.1, 0.2 * 599 / 600]
    )


def test_presets_are_the_papers_and_the_searches() -> None:
    paper = SCHEDULES["paper"]
    assert (paper.channels, paper.layers, paper.epochs, paper.batch) == (36, 20, 600, 96)
    assert (paper.auxiliary, paper.cutout, paper.drop_path, paper.decay) == (0.4, 16, 0.2, 3e-4)
    assert schedule_of(PRESETS["paper"]) == replace(paper, epochs=PRESETS["paper"].retrain_epochs)
    assert SCHEDULES["tiny"].auxiliary == 0.0


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("batch", 1, "batch must be at least 2"),
        ("drop_path", 1.0, "below 1"),
        ("label_smoothing", -0.1, "at least 0"),
        ("rate", 0.0, "above 0"),
        ("warm_up", 600, "can warm up"),
        ("stem", "large", "cifar or imagenet"),
        ("clip", -1.0, "at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(field: str, value: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(Schedule(), **{field: value})  # type: ignore[arg-type]


# The step.


def test_drop_path_zeroes_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    kept = paths_kept(torch.ones(20_000, 2, 3, 3), 0.3)
    assert kept.shape == (20_000, 1, 1, 1)
    assert sorted({round(float(value), 5) for value in kept.flatten()}) == [0.0, round(1 / 0.7, 5)]
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.02)


def test_identity_paths_are_not_dropped() -> None:
    torch.manual_seed(0)
    cell = Genotype.from_dict({"normal": [["skip_connect", 0], ["skip_connect", 1]], "normal_concat": [2]})
    net = CellNetwork(cell, 4, 1, 3)
    net.set_drop_path(0.9)
    net.train()
    part = net.cells[0]
    assert isinstance(part, DerivedCell)
    x = torch.randn(16, 12, 4, 4)
    assert torch.equal(part(x, x), part(x, x))
    other = CellNetwork(TWO, 4, 1, 3)
    other.set_drop_path(0.9)
    part = other.cells[0].train()
    assert not torch.equal(part(x, x), part(x, x))
    part.eval()
    assert torch.equal(part(x, x), part(x, x))


def test_smoothed_labels_are_spread_evenly() -> None:
    scores, y = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 3, 1, 1, 2])
    logs = torch.log_softmax(scores, 1)
    targets = torch.full((5, 4), 0.1 / 4, dtype=torch.float64)
    targets[torch.arange(5), y] += 0.9
    assert float(smoothed(scores, y, 0.1)) == pytest.approx(float(-(targets * logs).sum(1).mean()))


def test_the_auxiliary_head_is_weighed() -> None:
    """The gradient of its classifier is the weight times that of its own loss, and the trunk gets both."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.second = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.main(x), self.second(x)

    torch.manual_seed(0)
    net = Two()
    state = begin(job(replace(SHORT, auxiliary=0.0)))
    state.net = state.model = net
    state.optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    x, y = torch.randn(6, 3), torch.tensor([0, 1, 0, 1, 1, 0])
    before = weights(net)
    loss = nn.functional.cross_entropy(net(x)[1], y)
    gradient = torch.autograd.grad(loss, net.second.weight)[0]
    wanted = job(replace(SHORT, auxiliary=0.4, clip=0.0))
    value, _ = train_step(wanted, state, x, y)
    moved = before["second.weight"] - net.second.weight.detach()
    assert torch.allclose(moved, 0.4 * gradient, atol=1e-7)
    scores = nn.functional.linear(x, before["main.weight"], before["main.bias"])
    assert value == pytest.approx(float(nn.functional.cross_entropy(scores, y)))


def test_gradients_are_clipped() -> None:
    wanted = job(replace(SHORT, clip=1e-3))
    state = begin(wanted)
    state.net.train()
    before = weights(state.net)
    state.optimizer = torch.optim.SGD(state.net.parameters(), lr=1.0)
    train_step(wanted, state, *next(wanted.batches(0)))
    moved = [value - before[name] for name, value in state.net.named_parameters()]
    norm = math.sqrt(sum(float(each.detach().pow(2).sum()) for each in moved))
    assert norm == pytest.approx(1e-3, rel=1e-3)


# Whole trainings.


def test_it_learns_64_pictures_by_heart() -> None:
    data = replace(pictures(count=64), x_test=pictures(count=64).x_train, y_test=pictures(count=64).y_train)
    plain = Schedule(channels=6, layers=2, epochs=12, batch=16, rate=0.1, auxiliary=0, cutout=0, drop_path=0)
    found = retrain(TWO, data, plain, device="cpu")
    assert found.rows[0].train_accuracy < 0.6
    assert found.accuracy == 1.0


def test_a_training_is_a_function_of_its_seed() -> None:
    runs = [retrain(TWO, pictures(), SHORT, seed=seed, device="cpu") for seed in (3, 3, 4)]
    states = [weights(run.network) for run in runs]
    assert same(states[0], states[1])
    assert not same(states[0], states[2])
    rows = [[row._replace(seconds=0.0) for row in run.rows] for run in runs]
    assert rows[0] == rows[1]


def test_the_callers_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    retrain(TWO, pictures(), replace(SHORT, epochs=1), device="cpu")
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("stopped", [1, 2])
def test_going_on_is_bit_identical(tmp_path: Path, stopped: int) -> None:
    whole = retrain(TWO, pictures(), SHORT, seed=1, device="cpu")
    out = tmp_path / "network.pt"
    with pytest.raises(KeyboardInterrupt):
        retrain(TWO, pictures(), SHORT, seed=1, device="cpu", out=out, watch=stopping(stopped))
    assert read(checkpoint_of(out))["epoch"] == stopped
    assert not out.exists()
    found = retrain(TWO, pictures(), SHORT, seed=1, device="cpu", out=out, resume=True)
    assert same(weights(found.network), weights(whole.network))
    assert [row._replace(seconds=0.0) for row in found.rows] == [
        row._replace(seconds=0.0) for row in whole.rows
    ]
    assert not checkpoint_of(out).exists()


def stopping(epochs: int) -> Callable[[Tick], None]:
    """Ctrl-C in the epoch after so many."""

    def watch(tick: Tick) -> None:
        if tick.epoch == epochs and tick.row is None:
            raise KeyboardInterrupt

    return watch


def test_another_training_does_not_go_on(tmp_path: Path) -> None:
    out = tmp_path / "network.pt"
    with pytest.raises(KeyboardInterrupt):
        retrain(TWO, pictures(), SHORT, device="cpu", out=out, watch=stopping(1))
    with pytest.raises(DataError, match="--resume"):
        retrain(TWO, pictures(), SHORT, device="cpu", out=out)
    with pytest.raises(SpaceError, match=r"another batch \(16 there, 8 here\)"):
        retrain(TWO, pictures(), replace(SHORT, batch=8), device="cpu", out=out, resume=True)
    with pytest.raises(SpaceError, match="another cell"):
        retrain(V2, pictures(), SHORT, device="cpu", out=out, resume=True)
    with pytest.raises(SpaceError, match="another data"):
        retrain(TWO, pictures(seed=1), SHORT, device="cpu", out=out, resume=True)
    with pytest.raises(DataError, match="there is no file"):
        retrain(TWO, pictures(), SHORT, device="cpu", out=tmp_path / "other.pt", resume=True)
    retrain(TWO, pictures(), SHORT, device="cpu", out=out, resume=True)
    with pytest.raises(DataError, match="has ended, nothing is left to do"):
        retrain(TWO, pictures(), SHORT, device="cpu", out=out, resume=True)


def test_a_trained_network_is_read_again(tmp_path: Path) -> None:
    data, out = pictures(), tmp_path / "network.pt"
    found = retrain(TWO, data, SHORT, device="cpu", out=out)
    net = load_network(out)
    assert not net.training
    assert net.classes == ("a", "b", "c")
    assert net.genotype == TWO
    assert net.about["accuracy"] == found.accuracy
    assert data.x_test is not None
    assert data.y_test is not None
    right = [
        data.classes[code] == name for code, name in zip(data.y_test, net.predict(data.x_test), strict=True)
    ]
    assert np.mean(right) == found.accuracy
    torch.load(out, weights_only=True)


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("nothing")
    torch.save({"x": 1}, tmp_path / "b.pt")
    with pytest.raises(DataError, match="damaged"):
        load_network(tmp_path / "a.pt")
    with pytest.raises(DataError, match="no network"):
        load_network(tmp_path / "b.pt")


def test_a_loss_that_is_not_finite_keeps_the_last_good_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    good = retrain(TWO, pictures(), replace(SHORT, epochs=3), device="cpu", watch=None)
    kept: list[dict[str, torch.Tensor]] = []

    import rung.nas.retraining_epochs as epochs

    real = epochs.train_step

    def failing(wanted: Job, state: epochs.State, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
        if state.epoch == 2:
            if not kept:
                kept.append(weights(state.net))
                return real(wanted, state, x, y)  # a step of the epoch that is lost
            return math.nan, 0.0
        return real(wanted, state, x, y)

    monkeypatch.setattr(epochs, "train_step", failing)
    found = retrain(TWO, pictures(), replace(SHORT, epochs=3), device="cpu")
    assert found.epochs == 2
    assert found.diverged is not None
    assert "nan in epoch 3, step 2" in found.diverged
    assert "the weights of epoch 2 are kept" in found.diverged
    assert same(weights(found.network), kept[0])
    assert found.accuracy == score(job(), found.network).accuracy
    assert good.diverged is None


def test_diverging_at_once_leaves_nothing() -> None:
    with pytest.raises(Diverged, match=r"in epoch 1, step \d"):
        retrain(TWO, pictures(), replace(SHORT, rate=1e30, clip=0.0), device="cpu")


def test_parameters_are_those_that_were_published() -> None:
    """DARTS (second order) at 36 channels and 20 cells: 3.3 M in the paper; exactly, without the head."""
    schedule = Schedule()
    counted = count(V2, schedule.channels, schedule.layers, 10)
    assert round(counted.parameters / 1e6, 1) == 3.3
    assert counted.parameters == 3_349_342


def test_the_head_is_no_part_of_the_count_nor_of_the_file(tmp_path: Path) -> None:
    data = pictures(count=16, side=32, test=6)
    schedule = replace(SHORT, channels=2, epochs=1, batch=8, auxiliary=0.4)
    found = retrain(TWO, data, schedule, device="cpu", out=tmp_path / "network.pt")
    assert found.schedule.auxiliary == 0.4
    bare = CellNetwork(TWO, 2, 2, 3)
    assert found.parameters == sum(p.numel() for p in bare.parameters())
    assert set(load_network(tmp_path / "network.pt").network.state_dict()) == set(bare.state_dict())


def test_mixed_precision_is_near_the_whole() -> None:
    losses = []
    for amp in (False, True):
        wanted = job(replace(SHORT, amp=amp, drop_path=0.0))
        losses.append(one_epoch(wanted, begin(wanted)).train_loss)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


# What does not fit.


def test_the_head_fits_pictures_of_certain_sizes() -> None:
    """As the network itself finds: built and run at each size."""
    schedule = Schedule(channels=2, layers=3, auxiliary=0.4)
    for side in (8, 20, 28, 29, 32, 36, 40, 41, 64):
        net = CellNetwork(V2, 2, 3, 3, auxiliary=True)
        try:
            with torch.no_grad():
                net(torch.zeros(2, 3, side, side))
            fits = True
        except RuntimeError:
            fits = False
        assert auxiliary_fits(V2, schedule, side) == fits, side


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_sides_are_those_of_the_network(layers: int) -> None:
    net, seen = CellNetwork(TWO, 2, layers, 3), list[int]()
    for cell in net.cells:
        cell.register_forward_hook(lambda module, x, y: seen.append(y.shape[-1]))
    net.eval()(torch.zeros(1, 3, 9, 9))
    assert side_by_cell(TWO, Schedule(layers=layers), 9) == seen


def test_pictures_too_small_for_the_stem_are_refused() -> None:
    with pytest.raises(UserError, match="give --stem cifar"):
        fitted(replace(SHORT, stem="imagenet"), TWO, pictures())


def test_what_does_not_fit_small_pictures_is_left_out() -> None:
    schedule, notes = fitted(replace(SHORT, auxiliary=0.4, cutout=16), TWO, pictures())
    assert (schedule.auxiliary, schedule.cutout) == (0.0, 4)
    assert len(notes) == 2
    assert fitted(SHORT, TWO, pictures()) == (SHORT, ())
    gray = replace(pictures(), x_train=pictures().x_train[..., :1], x_test=pictures().x_test[..., :1])
    without, notes = fitted(replace(SHORT, jitter=True), TWO, gray)
    assert (without, len(notes)) == (SHORT, 1)
    cell = CellGenotype(((("nor_conv_3x3", 0),),), (1,), inputs=1)
    whole, (note,) = fitted(SHORT, Genotype((("normal", cell),)), pictures())
    assert whole == replace(SHORT, drop_path=0.0)  # nothing leads around such a cell
    assert note.startswith("cells with one input are trained without dropped paths")


def test_colours_are_moved_as_on_imagenet_by_its_preset_or_where_it_is_asked() -> None:
    assert [name for name, each in SCHEDULES.items() if each.jitter] == ["imagenet"]
    assert tuple(job(replace(SHORT, jitter=True)).augmentation.jitter) == (0.4, 0.4, 0.4, 0.2)
    assert not any(job().augmentation.jitter)


def test_the_advice_when_memory_runs_out_fits() -> None:
    build = built(TWO, pictures())
    shape, schedule = (8, 8, 3), replace(SHORT, batch=64, channels=16)
    whole = training_bytes(build, schedule, shape, 64)
    half = training_bytes(build, schedule, shape, 32)
    assert half < whole < 2 * half
    said = advice(build, schedule, shape, 0.6 * whole)
    assert "a batch of 64 and 16 channels" in said
    assert "--batch 32 or --channels 8 should fit" in said
    assert "nothing fits" in advice(build, schedule, shape, 10.0)
    stemmed = replace(schedule, stem="imagenet", channels=2, layers=1)
    assert "nothing fits" in advice(build, stemmed, (64, 64, 3), 10.0)


def test_memory_is_estimated_from_what_a_step_keeps() -> None:
    """Against what autograd really keeps, in a network that has memory."""
    net, kept = built(TWO, pictures())(SHORT).train(), dict[int, int]()

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        scores = net(torch.zeros(32, 3, 8, 8))
    estimate = training_bytes(built(TWO, pictures()), SHORT, (8, 8, 3), 32)
    parameters = 4 * sum(p.numel() for p in net.parameters())
    assert (estimate - 3 * parameters) / 1.3 == pytest.approx(sum(kept.values()) - parameters, rel=0.1)
    del scores


def test_running_out_of_memory_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: object, **settings: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr("rung.nas.retraining.one_epoch", none)
    with pytest.raises(UserError, match="out of memory with a batch of 16 and 4 channels"):
        retrain(TWO, pictures(), SHORT, device="cpu")


def test_another_error_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: object, **settings: object) -> object:
        raise RuntimeError("a shape")

    monkeypatch.setattr("rung.nas.retraining.one_epoch", wrong)
    with pytest.raises(RuntimeError, match="a shape"):
        retrain(TWO, pictures(), SHORT, device="cpu")


# Short trainings, and budgets.


def test_a_short_training_learns_from_one_half_and_is_scored_on_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = pictures(count=60)
    recipe = replace(
        PRESETS["tiny"], retrain_channels=4, retrain_layers=2, retrain_epochs=8, retrain_batch=10
    )
    told: list[tuple[int, int]] = []
    short = Short(told=lambda done, epochs: told.append((done, epochs)))
    scores, notes = short_training(TWO, data, recipe, seed=0, device="cpu", short=short)
    epochs = schedule_of(recipe).epochs
    assert told == [(done, epochs) for done in range(1, epochs + 1)]
    assert scores is not None
    assert scores.accuracy is not None
    assert scores.accuracy > 0.6  # a third by chance
    assert notes == []
    scores, notes = short_training(TWO, data, recipe, seed=0, short=Short(1e-9), device="cpu")
    assert scores is None
    assert "under one epoch" in notes[0]


def test_a_budget_plans_fewer_epochs_and_a_tiny_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.nas.retraining_budget.measured", lambda probe: (1.0, 0.5))
    told: list[str] = []
    found = retrain(TWO, pictures(), replace(SHORT, epochs=900), device="cpu", budget=4.0, tell=told.append)
    assert found.epochs == 2  # (4 - .5) / 1.5, less what was spent
    assert found.schedule.epochs == 2
    assert any("2 of 900 epochs are planned" in note for note in told)
    assert found.notes == tuple(told)
    with pytest.raises(UserError, match=r"a budget of 1 s is under one epoch.*--budget 3s"):
        retrain(TWO, pictures(), SHORT, device="cpu", budget=1.0)


def test_tests_in_between_cost_a_quarter_of_the_training() -> None:
    wanted = job(replace(SHORT, epochs=40))
    assert wanted.every == 1
    many = Job(TWO, pictures(count=16, test=160), replace(SHORT, epochs=40), 0, "cpu", wanted.table)
    assert many.every == 14  # ceil of 160 / 3 / (16 / 4)
    assert [epoch for epoch in range(40) if many.tests(epoch)] == [13, 27, 39]
