"""The door of architecture search: a study, its checkpoints, bit-identical resumption, budgets, bad news."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import Any

import pytest
import torch

from rung.errors import UserError
from rung.nas import checkpoint, room
from rung.nas.comparing import Row, compare, runs, sign_flip, table
from rung.nas.ledger import Ledger
from rung.nas.loop import Plan, one_epoch, start
from rung.nas.moment import Moment, cosine
from rung.nas.pacing import fit_budget
from rung.nas.planning import Request, prepare
from rung.nas.recipe import PRESETS, Recipe
from rung.nas.result import SearchResult
from rung.nas.room import explained
from rung.nas.searching import EPOCH, Search, search
from rung.nas.space import SPACES, image_space
from rung.nas.strategies.remedies import SkipDropout
from rung.nas.strategies.table import STRATEGIES, make
from rung.storage import open_storage
from rung.trials.history import History
from support.pictures import halves

torch.set_num_threads(1)

FEW = {"channels": 4, "layers": 3, "batch": 8, "alpha_rate": 0.3}


@pytest.fixture(scope="module")
def pictures() -> Any:
    return halves(64)


def tiny(pictures: Any, **more: Any) -> SearchResult:
    given = {"space": "tiny", "epochs": 3, "settings": FEW, "retrain": False, **more}
    return search(pictures, **given)


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """Without what the clock says."""
    ledger = {**record["ledger"], "seconds": 0.0}
    return {**record, "seconds": 0.0, "ledger": ledger}


def test_a_search_gives_a_cell_a_gap_and_a_cost(pictures: Any) -> None:
    result = tiny(pictures, strategy="darts1")
    assert [len(cell.nodes) for _, cell in result.genotype.cells] == [2, 2]
    assert len(result.records) == 3
    steps = 3 * 4  # 32 pictures in each half, 8 a step
    assert (result.cost["weight_passes"], result.cost["alpha_passes"]) == (steps, steps)
    assert result.cost["images"] == 2 * steps * 8
    assert result.relaxation_gap.outputs > 0
    assert 0 <= result.accuracy.searched <= 1


@pytest.mark.parametrize("more", [{}, {"price": 1e-9}, {"skip_dropout": 1e-9}])
def test_asap_ends_without_a_gap(pictures: Any, tmp_path: Any, more: dict[str, float]) -> None:
    settings = {**FEW, "checks": 1, "anneal": 1.0, "extra": 12, **more}
    url = f"sqlite:///{tmp_path}/s.db"
    result = tiny(pictures, strategy="asap", epochs=6, settings=settings, storage=url, study="s")
    resource = History().fold_all(list(open_storage(url).read("s"))).identity.resource
    assert resource is not None
    assert resource.maximum >= 6 + 12
    assert result.relaxation_gap.outputs < 1e-4
    assert result.relaxation_gap.accuracy == pytest.approx(0.0)
    assert result.records[-1]["operations"] == 8  # two inputs a node, two nodes, two cells
    assert len(result.records) > 6
    assert any(note.startswith("undecided after 6 epochs") for note in result.notes)


def test_a_study_that_knows_of_no_extra_epochs_goes_on(
    pictures: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    given = {"strategy": "asap", "settings": {**FEW, "extra": 2, "skip_dropout": 0.1}}
    given |= {"storage": f"sqlite:///{tmp_path}/s.db", "study": "s"}
    monkeypatch.setattr(SkipDropout, "extra", 0)
    first = tiny(pictures, **given)
    monkeypatch.undo()
    assert tiny(pictures, **given).genotype == first.genotype
    with pytest.raises(UserError, match="exists with other settings"):
        tiny(pictures, **given, epochs=5)


def test_the_result_is_a_file_and_back(pictures: Any, tmp_path: Any) -> None:
    result = tiny(pictures, strategy="random", epochs=1)
    result.save(tmp_path / "cell.json")
    assert SearchResult.read(tmp_path / "cell.json") == result


def test_a_file_is_json_whatever_the_figures_are(pictures: Any, tmp_path: Any) -> None:
    result = replace(tiny(pictures, strategy="darts1", epochs=1), perplexity={"derived": float("inf")})
    result.save(tmp_path / "cell.json")
    text = (tmp_path / "cell.json").read_text()
    assert "Infinity" not in text
    assert SearchResult.read(tmp_path / "cell.json").perplexity == {"derived": None}


@pytest.mark.parametrize("strategy", ["darts1", "darts", "asap", "snas", "gdas"])
def test_what_is_resumed_goes_on_bit_for_bit(pictures: Any, tmp_path: Any, strategy: str) -> None:
    """Uninterrupted, and written and read after each epoch: all is the same."""
    epochs = 5 if strategy == "asap" else 3
    request = Request(pictures, strategy, space="tiny", epochs=epochs, settings=FEW)
    plan = prepare(request).plan
    whole = start(plan)
    for _ in range(epochs):
        one_epoch(plan, whole)
    parts = start(plan)
    for _ in range(epochs):
        checkpoint.save(plan, parts, tmp_path)
        parts = checkpoint.load(prepare(request).plan, tmp_path)
        one_epoch(plan, parts)
    for name, value in whole.net.plain_state().items():
        assert torch.equal(value, parts.net.plain_state()[name]), name
    for name, alphas in whole.alphas.items():
        assert torch.equal(alphas, parts.alphas[name])
    ours, theirs = whole.weights.state_dict()["state"], parts.weights.state_dict()["state"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[k]["momentum_buffer"], theirs[k]["momentum_buffer"]) for k in ours)
    first, second = ([comparable(record.to_dict()) for record in state.records] for state in (whole, parts))
    assert first == second
    if strategy == "asap":
        assert any(record["removed"] for record in first)


def test_ctrl_c_and_again_is_as_without(pictures: Any, tmp_path: Any) -> None:
    url = str(tmp_path / "studies.db")
    whole = tiny(pictures, strategy="darts1", epochs=4)

    def interrupt(record: Any, plan: Plan) -> None:
        if record.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    cut = tiny(pictures, strategy="darts1", epochs=4, storage=url, study="s", watch=interrupt)
    assert cut.interrupted
    assert len(cut.records) == 2
    assert "interrupted after 2 of 4 epochs" in cut.notes
    resumed = tiny(pictures, strategy="darts1", epochs=4, storage=url, study="s")
    assert not resumed.interrupted
    assert [comparable(r) for r in resumed.records] == [comparable(r) for r in whole.records]
    assert resumed.genotype == whole.genotype
    again = tiny(pictures, strategy="darts1", epochs=4, storage=url, study="s")  # nothing is left to do
    assert again.genotype == whole.genotype


def test_what_a_noisy_search_ends_with_is_the_same_when_it_is_gone_on_with(
    pictures: Any, tmp_path: Any
) -> None:
    noisy = image_space("noisy", ("noise", "sep_conv_3x3"), nodes=1)
    given = {"strategy": "darts1", "space": noisy, "epochs": 1, "storage": str(tmp_path / "studies.db")}
    found = tiny(pictures, study="s", **given)
    torch.manual_seed(1)
    again = tiny(pictures, study="s", **given)
    assert (again.accuracy, again.relaxation_gap) == (found.accuracy, found.relaxation_gap)


def test_a_search_leaves_the_callers_random_numbers_alone(pictures: Any) -> None:
    before = torch.get_rng_state()
    tiny(pictures, strategy="darts1", epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_log_has_every_epoch(pictures: Any, tmp_path: Any) -> None:
    url = str(tmp_path / "studies.db")
    result = tiny(pictures, strategy="asap", storage=url, study="s")
    storage = open_storage(url)
    history = History().fold_all(list(storage.read("s")))
    storage.close()
    logged = [dict(record.data) for record in history.records[EPOCH]]
    assert [record["epoch"] for record in logged] == [record["epoch"] for record in result.records]
    assert history.identity.door == "search"


def test_a_checkpoint_of_another_search_is_refused(pictures: Any, tmp_path: Any) -> None:
    def asap(**more: float) -> Plan:
        return prepare(Request(pictures, "asap", space="tiny", epochs=2, settings={**FEW, **more})).plan

    plan = prepare(Request(pictures, "darts1", space="tiny", epochs=2, settings=FEW)).plan
    checkpoint.save(plan, start(plan), tmp_path)
    other = prepare(Request(pictures, "darts1", space="s2", epochs=2, settings=FEW)).plan
    with pytest.raises(UserError, match="is of another search, with space 'tiny', not 's2'"):
        checkpoint.load(other, tmp_path)
    checkpoint.save(asap(), start(asap()), tmp_path)
    assert checkpoint.load(asap(), tmp_path).epoch == 0
    for name, value, why in (
        ("T0", 2.0, "with T0 1.6, not 2.0"),
        ("rate", 0.1, "with rate 0.05, not 0.1"),
        ("momentum", 0.0, "with momentum 0.9, not 0.0"),
        ("decay", 0.1, "with decay 0.0003, not 0.1"),
    ):
        with pytest.raises(UserError, match=why):
            checkpoint.load(asap(**{name: value}), tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        checkpoint.load(plan, tmp_path / "nowhere")


def test_a_checkpoint_of_other_data_is_refused(pictures: Any, tmp_path: Any) -> None:
    def plan(data: Any, **more: Any) -> Plan:
        return prepare(Request(data, "darts1", space="tiny", epochs=2, settings=FEW, **more)).plan

    checkpoint.save(plan(pictures), start(plan(pictures)), tmp_path)
    x, y, *test = pictures
    for other in ((x, y[::-1], *test), (255 - x, y, *test)):
        with pytest.raises(UserError, match="is of another search, with other data"):
            checkpoint.load(plan(other), tmp_path)
    with pytest.raises(UserError, match="with cutout 0, not 2"):
        checkpoint.load(plan(pictures, cutout=2), tmp_path)
    assert checkpoint.load(plan((x.copy(), y.copy(), *test)), tmp_path).epoch == 0


def test_a_checkpoint_of_a_space_that_has_changed_is_refused(pictures: Any, tmp_path: Any) -> None:
    space = SPACES["tiny"]
    first = replace(space.cells[0], only=((0, space.cells[0].operations[1:]),))
    changed = replace(space, cells=(first, *space.cells[1:]))
    plan, other = (
        prepare(Request(pictures, "darts1", space=one, epochs=2, settings=FEW)).plan
        for one in (space, changed)
    )
    checkpoint.save(plan, start(plan), tmp_path)
    with pytest.raises(UserError, match="is of another search, with other cells"):
        checkpoint.load(other, tmp_path)


def test_numbers_from_python_are_refused_as_on_the_command_line(pictures: Any) -> None:
    for more, why in (
        ({"epochs": 1.5}, "epochs is a whole number from 1 up, not 1.5"),
        ({"epochs": 0}, "epochs is a whole number from 1 up, not 0"),
        ({"seed": -1}, "seed is a whole number from 0 up, not -1"),
    ):
        with pytest.raises(UserError, match=why):
            tiny(pictures, strategy="darts1", **more)


def test_networks_that_cannot_be_built_are_refused_before_data_is_read() -> None:
    for strategy, settings, why in (
        ("darts1", {"layers": 2}, "a stack of 2 layers has no normal cell"),
        ("pc_darts", {"channels": 2}, "a multiple of 4 channels, not 2"),
    ):
        with pytest.raises(UserError, match=why):
            search("nowhere.npz", strategy=strategy, space="tiny", settings=settings)


def test_an_old_study_of_another_space_is_refused_and_stays(pictures: Any, tmp_path: Any) -> None:
    url = str(tmp_path / "studies.db")
    first = tiny(pictures, strategy="darts1", epochs=2, storage=url, study="s")
    with pytest.raises(UserError, match="is of another search, with space 'tiny', not 's2'"):
        tiny(pictures, strategy="darts1", space="s2", epochs=2, storage=url, study="s")
    assert tiny(pictures, strategy="darts1", epochs=2, storage=url, study="s").genotype == first.genotype


def test_the_public_names_are_there() -> None:
    import rung.nas

    assert all(getattr(rung.nas, name) is not None for name in rung.nas.__all__)
    assert rung.nas.search is search


def test_a_budget_plans_with_epochs_that_get_cheaper(pictures: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("rung.nas.pacing.epoch_seconds", lambda plan: 3.0)

    def epochs(anneal: float, **more: float) -> int:
        settings = {**FEW, "anneal": anneal, **more}
        prepared = prepare(Request(pictures, "asap", space="tiny", epochs=20, settings=settings))
        return fit_budget(prepared, 20.0).plan.recipe.epochs  # 15 s for searching

    assert epochs(1.0) == int(15 / (3 * 0.9))
    assert epochs(0.4) == int(15 / (3 * (0.4 * 0.9 + 0.6 * 0.4)))
    assert epochs(0.4, price=1e-6) == epochs(0.4, skip_dropout=0.1) == epochs(0.4)


def test_a_schedule_that_is_set_stays_with_a_budget_and_when_resumed(
    pictures: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("rung.nas.pacing.epoch_seconds", lambda plan: 3.0)
    settings = {**FEW, "beta": 0.9}
    prepared = prepare(Request(pictures, "asap", space="tiny", epochs=20, settings=settings))
    fitted = fit_budget(prepared, 12.0).plan
    assert fitted.recipe.epochs < 20
    assert fitted.strategy.beta == 0.9  # type: ignore[attr-defined]

    def go_on(watch: Any) -> SearchResult:
        url = f"sqlite:///{tmp_path}/s.db"
        given = {"settings": settings, "epochs": 4, "storage": url, "study": "s"}
        return tiny(pictures, strategy="asap", watch=watch, **given)

    def stop(record: Any, _: Any) -> None:
        if record.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    assert go_on(stop).interrupted
    assert go_on(None).settings["strategy"]["beta"] == 0.9


def test_a_budget_plans_epochs_and_refuses_what_is_under_one(pictures: Any, monkeypatch: Any) -> None:
    prepared = prepare(Request(pictures, "darts1", space="tiny", epochs=20, settings=FEW))
    monkeypatch.setattr("rung.nas.pacing.epoch_seconds", lambda plan: 3.0)
    fitted = fit_budget(prepared, 20.0)  # 15 s for searching
    assert fitted.plan.recipe.epochs == 5
    assert fitted.plan.strategy == make("darts1", prepared.plan.recipe.settings("darts1"), 5)
    assert "5 of 20 epochs" in fitted.notes[-1]
    assert fit_budget(prepared, 1000.0) is prepared
    with pytest.raises(UserError, match=r"is under one epoch, which takes about 3\.0 s here and may"):
        fit_budget(prepared, 2.0)
    before = time.monotonic() - 7.0  # of 15 s, 8 are left
    assert fit_budget(prepared, 20.0, before).plan.recipe.epochs == 2
    with pytest.raises(UserError, match=r"with 7 s that have gone before, .* give --budget 1[45]s"):
        fit_budget(prepared, 10.0, before)


def test_a_loss_that_is_not_finite_ends_with_the_last_good_epoch(pictures: Any, monkeypatch: Any) -> None:
    from rung.nas import loop

    genuine, calls = loop.weight_step, []

    def breaking(*given: Any) -> float:
        calls.append(1)
        return float("nan") if len(calls) == 4 * 2 + 2 else genuine(*given)

    monkeypatch.setattr(loop, "weight_step", breaking)
    result = tiny(pictures, strategy="darts1", epochs=4)
    assert len(result.records) == 2
    assert any("epoch 3, step 2" in note and "epoch 2 is the last" in note for note in result.notes)
    for rate, lower in ((0.02, "0.002"), (1e9, "0.05")):  # a tenth, or the preset's own
        calls[:] = [1] * (4 * 2)
        with pytest.raises(UserError, match=f"lower learning rate, such as --set rate={lower}$"):
            tiny(pictures, strategy="darts1", epochs=4, settings={**FEW, "rate": rate})


def test_out_of_memory_names_what_fits(pictures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are tried: here a step has room for four samples, or for one channel."""
    request = Request(pictures, "darts1", space="tiny", settings={**FEW, "batch": 16})
    short = RuntimeError("DefaultCPUAllocator: can't allocate memory")

    def step(plan: Plan, probes: int) -> float:
        if plan.recipe.batch * plan.recipe.channels > most:
            raise short
        return 0.0

    monkeypatch.setattr(room, "step_seconds", step)
    plan, most = prepare(request).plan, 16
    assert plan.recipe.channels == 4
    assert "this fits: --set batch=4 or --set channels=1" in str(explained(short, plan, request))
    most = 7
    assert "take fewer layers" in str(explained(short, plan, request))
    other = ValueError("x")
    assert explained(other, plan, request) is other


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"strategy": "dart"}, "unknown strategy 'dart': did you mean 'darts'. there are random, darts1"),
        ({"space": "dartz"}, "unknown space 'dartz'"),
        ({"preset": "huge"}, "unknown preset 'huge': there are tiny, small, paper"),
        ({"cell": "gru"}, "unknown cell 'gru'"),
        (
            {"settings": {"batch": "many"}},
            "batch must be a whole number of at least 2, .* not 'many'",
        ),
        ({"settings": {"bach": 3}}, "has no setting 'bach'"),
        ({"settings": {"batch": 1}}, "batch must be a whole number of at least 2, such as 32, not 1"),
        ({"settings": {"rate": float("nan")}}, "rate must be a number above 0, not nan"),
        ({"settings": {"decay": -1}}, "decay must be a number of at least 0, not -1"),
        (
            {"settings": {"retrain_drop_path": 3}},
            "drop_path must be a number of at least 0 and below 1",
        ),
        ({"settings": {"pictures": "all"}}, "pictures must be a whole number of at least 1, such as 2000"),
        ({"settings": {"alpha_betas": [0.5, 1]}}, "alpha_betas must be 2 numbers"),
        ({"settings": {"text": "mine"}}, "has no setting 'text'"),
        ({"device": "cuda:9"}, "cannot be used"),
        ({"budget": "soon"}, "is no length of time"),
    ],
)
def test_what_cannot_be_searched_is_said(pictures: Any, change: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why):
        search(pictures, **{"space": "tiny", **change})


def test_presets_are_searches_that_differ_in_size() -> None:
    tiny_, small, paper = (PRESETS[name] for name in ("tiny", "small", "paper"))
    assert tiny_.pictures < small.pictures
    assert paper == Recipe(text=paper.text, own=paper.own)
    assert (paper.rate, paper.momentum, paper.decay, paper.clip) == (0.025, 0.9, 3e-4, 5.0)
    assert (paper.alpha_rate, paper.alpha_betas, paper.alpha_decay) == (3e-4, (0.5, 0.999), 1e-3)


def test_every_strategy_is_made_of_its_name() -> None:
    for name in STRATEGIES:
        assert make(name).name == name


def test_a_moment_has_numbers_of_its_own() -> None:
    moments = [Moment(s, e, 3, t, 2) for s in range(3) for e in range(3) for t in range(2)]
    assert len({m.number("a") for m in moments} | {m.number("b") for m in moments}) == 2 * len(moments)
    draws = [torch.rand(2, generator=m.generator("a")) for m in (moments[0], moments[0])]
    assert torch.equal(*draws)


def test_the_cosine_by_hand() -> None:
    assert [cosine(1.0, 0.0, e, 4) for e in range(5)] == pytest.approx([1.0, 0.8535534, 0.5, 0.1464466, 0.0])


def test_the_ledger_adds_up() -> None:
    ledger = Ledger()
    ledger.weights(8, 100.0)
    ledger.architecture(4, 32, 100.0)
    assert (ledger.passes, ledger.images, ledger.multiply_adds) == (5, 40, 3 * 40 * 100.0)
    assert Ledger.from_dict(ledger.to_dict()) == ledger


def a_row(strategy: str, seed: int, error: float) -> Row:
    return Row(strategy, seed, error, None, None, 1000 + seed, 1.0, 1, 1, 1.0, None, {})


def test_a_comparison_pairs_seeds() -> None:
    rows = [a_row("random", s, 0.5 + 0.01 * s) for s in range(4)]
    rows += [a_row("asap", s, 0.4 + 0.01 * s) for s in range(4)]
    best, other = table(rows)
    assert (best.strategy, other.strategy) == ("asap", "random")
    assert best.difference == pytest.approx(-0.1)
    assert best.p == pytest.approx(2 / 16)  # all four of one sign
    assert other.p is None
    assert best.error == pytest.approx(0.415)
    missing = runs(["asap", "snas"], 5, rows)
    assert missing == [("snas", 0), ("snas", 1), ("snas", 2), ("snas", 3), ("asap", 4), ("snas", 4)]


def test_the_sign_flip_test_is_exact() -> None:
    assert sign_flip([1.0, 1.0, -1.0]) == 1.0  # |mean| of 1/3: every choice of signs reaches it
    assert sign_flip([0.0, 0.0]) == 1.0
    assert sign_flip([1.0, 2.0, 3.0]) == pytest.approx(2 / 8)


def test_a_comparison_leaves_out_what_it_has(pictures: Any) -> None:
    done = [a_row("random", 0, 0.5)]
    asked: list[tuple[str, int]] = []

    def one(name: str, seed: int) -> SearchResult:
        asked.append((name, seed))
        return replace(tiny(pictures, strategy=name, epochs=1), seed=seed)

    rows = list(compare(["random", "darts1"], 1, one, done))
    assert asked == [("darts1", 0)]
    assert rows[0].strategy == "darts1"
    with pytest.raises(UserError, match="at least one strategy"):
        list(compare([], 1, one))


def test_a_search_that_is_stopped_gives_no_row_and_ends_the_comparison(pictures: Any) -> None:
    asked: list[str] = []

    def one(name: str, seed: int) -> SearchResult:
        asked.append(name)
        return replace(tiny(pictures, strategy=name, epochs=1), seed=seed, interrupted=name == "darts1")

    rows = []
    with pytest.raises(KeyboardInterrupt):
        rows.extend(compare(["random", "darts1", "snas"], 1, one))
    assert asked == ["random", "darts1"]
    assert [row.strategy for row in rows] == ["random"]


def test_the_study_keeps_what_the_caller_gives(pictures: Any, tmp_path: Any) -> None:
    url = str(tmp_path / "studies.db")
    request = Request(pictures, "darts1", space="tiny", epochs=1, settings=FEW, retrain=False)
    ready = Search(request, url, "s", None)
    ready.keep("command", {"data": "x"})
    ready.run()
    storage = open_storage(url)
    history = History().fold_all(list(storage.read("s")))
    storage.close()
    assert dict(history.records["command"][-1].data) == {"data": "x"}
