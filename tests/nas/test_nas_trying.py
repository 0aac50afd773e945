"""Strategies that try what they derive, after the last epoch: what of a budget that has, and Ctrl-C."""

from __future__ import annotations

import math
import os
import re
import signal
import time
from typing import Any

import pytest
import torch

from rung.errors import UserError
from rung.nas import loop
from rung.nas.images import ImageTask
from rung.nas.loop import Plan, State, start
from rung.nas.outcome import outcome
from rung.nas.pacing import Patience, fit_budget, time_for_another, trying_seconds
from rung.nas.planning import Request, prepare
from rung.nas.result import SearchResult
from rung.nas.searching import search
from rung.nas.space import SPACES
from rung.nas.strategies.base import Finishing
from rung.nas.strategies.enas import Enas
from rung.nas.strategies.table import STRATEGIES, make
from support.pictures import halves

torch.set_num_threads(1)

FEW = {"channels": 4, "layers": 3, "batch": 8, "alpha_rate": 0.3}
MANY = {"random": {"samples": 100_000}, "enas": {"samples": 60}, "darts_pt": {"tune": 50}}


@pytest.fixture(scope="module")
def pictures() -> Any:
    return halves(64)


def tiny(pictures: Any, strategy: str, settings: dict[str, Any] | None = None, **more: Any) -> SearchResult:
    given = {"space": "tiny", "epochs": 2, "retrain": False, **more}
    return search(pictures, strategy=strategy, settings={**FEW, **(settings or {})}, **given)


def planned(pictures: Any, strategy: str, **settings: Any) -> Any:
    return prepare(Request(pictures, strategy, space="tiny", epochs=20, settings={**FEW, **settings}))


def asked(pictures: Any) -> Request:
    return Request(pictures, "random", space="tiny", retrain=False)


@pytest.mark.parametrize("strategy", list(MANY))
def test_ctrl_c_in_an_epoch_ends_with_what_is_known_and_tries_nothing(pictures: Any, strategy: str) -> None:
    def interrupt(record: Any, _: Plan) -> None:
        if record.epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)

    cut = tiny(pictures, strategy, MANY[strategy], watch=interrupt)
    assert cut.interrupted
    assert len(cut.records) == 1
    assert cut.genotype.cells
    (said,) = [note for note in cut.notes if note.startswith("there was time")]
    assert "time for 0 of" in said or "time to judge 0 of" in said
    if strategy == "darts_pt":
        assert cut.genotype.to_dict() == cut.records[-1]["genotype"]  # by the alphas


@pytest.mark.parametrize("strategy", ["random", "enas", "darts_pt"])
def test_ctrl_c_while_trying_ends_with_what_was_decided_and_goes_on_to_the_same(
    pictures: Any, strategy: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"random": {"samples": 4}, "enas": {"samples": 9}, "darts_pt": {"tune": 1}}[strategy]
    kept = {"storage": str(tmp_path / "s.db"), "study": "s", "retrain": True}
    plain, asked_for = Patience.__call__, []

    def interrupting(self: Patience) -> bool:
        asked_for.append(self)
        if len(asked_for) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(self)

    with monkeypatch.context() as patched:
        patched.setattr(Patience, "__call__", interrupting)
        cut = tiny(pictures, strategy, settings, **kept)
    assert cut.interrupted
    assert cut.accuracy.retrained is None
    assert "interrupted while the cell was derived" in cut.notes
    assert any(note.startswith("there was time") for note in cut.notes)
    whole, gone_on = tiny(pictures, strategy, settings), tiny(pictures, strategy, settings, **kept)
    assert gone_on.genotype == whole.genotype
    assert gone_on.accuracy.derived == whole.accuracy.derived
    assert gone_on.accuracy.retrained is not None
    assert not gone_on.interrupted


@pytest.mark.parametrize(
    ("strategy", "at", "said"),
    [
        ("random", 3, "time to judge 2 of the 100000"),
        ("enas", 6, "time to judge 1 of the 60"),
        ("darts_pt", 3, "time for 0 of 14 "),  # which operation is it?
        ("darts_pt", 20, "time for 1 of 14 "),  # it is left out, and the others are tuned
    ],
)
def test_ctrl_c_within_a_trial_ends_it_before_another_pass(
    pictures: Any, strategy: str, at: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, passes, phases = [], [], {}
    plain = Enas._admitted
    monkeypatch.setattr(Enas, "_admitted", lambda self, *given: drawn.append(0) or plain(self, *given))
    prepared = planned(pictures, strategy, **MANY[strategy])
    state = start(prepared.plan)

    def noting(*_: object) -> None:
        passes.append(state.net.training)
        if len(passes) == at:
            os.kill(os.getpid(), signal.SIGINT)

    state.net.register_forward_pre_hook(noting)
    found = outcome(
        prepared, state, asked(pictures), "", phase=lambda text: phases.setdefault(text, len(passes))
    )
    assert phases["interrupted: judging what is derived"] <= at + 1
    assert len(drawn) == (2 if strategy == "enas" else 0)
    assert state.net.training
    assert found.interrupted
    assert any(said in note for note in found.notes), found.notes
    assert any(text.startswith("deriving: ") for text in phases)


def test_a_tuning_that_diverges_ends_the_trying_and_the_rest_is_by_alphas(
    pictures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, losses = planned(pictures, "darts_pt"), iter([2.0, math.nan])
    monkeypatch.setattr(loop, "weight_step", lambda *_: next(losses))
    state = start(prepared.plan)
    found = outcome(prepared, state, asked(pictures), "")
    assert found.genotype == prepared.plan.strategy.derive(SPACES["tiny"], state.alphas, state.net.alive)
    single = [(state.net.alive[cell.name].sum(1) == 1).sum() for cell in SPACES["tiny"].cells]
    assert sum(single) == 1  # the edge that was decided
    assert found.notes[-1] == (
        "the training loss is nan while the supernet is tuned: what was decided before stays, and the rest "
        "is by alphas"
    )


def test_darts_pt_says_what_it_tries(pictures: Any) -> None:
    prepared, said = planned(pictures, "darts_pt", tune=2), []
    answers = iter([True, False])
    outcome(
        prepared, start(prepared.plan), asked(pictures), "", more=lambda: next(answers), phase=said.append
    )
    *tried, first, second = said
    pattern = r"deriving: decision 1 of 14, without \w+ from \d to \d of (normal|reduce)"
    assert all(re.fullmatch(pattern, text) for text in tried)
    assert len(set(tried)) == len(tried) > 1
    assert [first, second] == [f"deriving: decision 1 of 14, tuning, epoch {n} of 2" for n in (1, 2)]


def test_a_second_ctrl_c_while_trying_ends_at_once(pictures: Any) -> None:
    def interrupting() -> bool:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        return True

    prepared = planned(pictures, "random", samples=3)
    with pytest.raises(KeyboardInterrupt):
        outcome(prepared, start(prepared.plan), asked(pictures), "", more=interrupting)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_kept_within_a_limit_stays_so_where_nothing_is_tried(pictures: Any) -> None:
    prepared = planned(pictures, "random", most=20_000, resource="parameters", samples=3)
    found = outcome(prepared, start(prepared.plan), asked(pictures), "", more=lambda: False)
    assert found.parameters <= 20_000
    assert "there was time to judge 0 of the 3 architectures that are candidates" in found.notes


@pytest.mark.parametrize("strategy", ["random", "enas", "darts_pt"])
def test_what_there_is_time_for_is_tried(pictures: Any, strategy: str) -> None:
    prepared = planned(pictures, strategy, **({} if strategy == "darts_pt" else {"samples": 6}))
    answers = iter([True, True, False])
    found = outcome(prepared, start(prepared.plan), asked(pictures), "", more=lambda: next(answers))
    assert any("there was time" in note and " 2 of " in note for note in found.notes)
    assert list(answers) == []
    whole = outcome(prepared, start(prepared.plan), asked(pictures), "")
    assert not [note for note in whole.notes if "there was time" in note]


def test_a_budget_keeps_time_for_what_is_tried_and_no_more_than_half_of_the_search(
    pictures: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("rung.nas.pacing.epoch_seconds", lambda plan: 3.0)
    few = fit_budget(planned(pictures, "random", samples=5), 40.0)  # of 30 s, 3 s for five looks
    assert few.plan.recipe.epochs == 9
    assert few.notes[-1] == (
        "9 of 20 epochs are planned, 3.0 s each, to fit 40 s, 3 s of which are for what it tries before it "
        "derives"
    )
    assert fit_budget(planned(pictures, "random"), 40.0).plan.recipe.epochs == 5  # half of 30 s
    with pytest.raises(UserError, match=r"about 3\.0 s here and may have 38% of it: give --budget 9s,"):
        fit_budget(planned(pictures, "random"), 6.0)
    assert fit_budget(planned(pictures, "random"), 9.0).plan.recipe.epochs == 1


def test_another_epoch_leaves_time_for_what_is_tried(pictures: Any) -> None:
    prepared = planned(pictures, "random", samples=5)
    state = start(prepared.plan)
    state.epoch, state.ledger.seconds = 4, 12.0  # 3 s each, and as much for five looks
    assert time_for_another(prepared.plan, state, 6.1, 40.0)
    assert not time_for_another(prepared.plan, state, 5.9, 40.0)
    state.epoch = 20
    assert time_for_another(prepared.plan, state, 0.1, 40.0)  # none follows
    plain = planned(pictures, "darts1").plan
    assert trying_seconds(plain, 3.0, 40.0) == 0.0


def test_patience_keeps_the_short_trainings_time_and_ends_before_one_that_would_be_late(
    monkeypatch: Any,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("rung.nas.pacing.time.monotonic", lambda: clock[0])

    def count(seconds: float, *, training: bool) -> int:
        began, tried = clock[0], 0
        more = Patience(lambda: seconds - (clock[0] - began), training=training)
        while more():
            clock[0] += 2.0
            tried += 1
        return tried

    assert count(20.0, training=False) == 9  # after nine, 2 s are left: no more than another takes
    assert count(20.0, training=True) == 5  # 12 s of them
    endless = Patience(lambda: None, training=True)
    assert all(endless() for _ in range(5))


def test_a_search_within_a_budget_is_over_in_time(pictures: Any, monkeypatch: Any) -> None:
    """By a clock of its own, on which an epoch takes a second and each look at the samples two."""
    clock, trying = [0.0], [False]
    genuine, evaluate = loop.one_epoch, ImageTask.evaluate

    def epoch(plan: Plan, state: State) -> Any:
        record = genuine(plan, state)
        clock[0] += 1.0
        state.ledger.seconds = float(state.epoch)
        return record

    def look(self: ImageTask, *given: Any) -> Any:
        clock[0] += 2.0 * trying[0]
        return evaluate(self, *given)

    def done(record: Any, plan: Plan) -> None:
        trying[0] = record.epoch == plan.recipe.epochs

    monkeypatch.setattr("rung.nas.pacing.epoch_seconds", lambda plan: 1.0)
    monkeypatch.setattr(loop, "one_epoch", epoch)
    monkeypatch.setattr(ImageTask, "evaluate", look)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    found = tiny(pictures, "random", {"samples": 1000}, epochs=50, budget=40.0, watch=done)
    assert len(found.records) == 15
    assert clock[0] <= 40.0 + 3 * 2.0  # and three looks at what it ends with
    assert any(note.startswith("there was time to judge 12 of the 1000") for note in found.notes)


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_who_tries_says_what_it_takes(strategy: str) -> None:
    made = make(strategy)
    tries = strategy in MANY
    assert isinstance(made, Finishing) == tries
    if tries:
        assert made.ahead(SPACES["darts"], 100) > 0  # type: ignore[attr-defined]
