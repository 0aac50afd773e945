"""Ctrl-C during a fit: the first leaves a few seconds for the model, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest

from rung.errors import Stopped
from rung.tabular import conclude, evaluate, fit_table, interrupts, members
from rung.tabular.deadline import Deadline, Hurry
from rung.tabular.interrupts import SOON
from rung.tabular.plan import Plan
from rung.tabular.saying import told_to
from rung.tabular.search import Search
from rung.trials.events import Reported

LONG = 7_200.0


def _table(n=80):
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": x + 0.1 * rng.normal(size=n)})


def _fit(watch=None, **more):
    return fit_table(
        _table(), "y", budget=LONG, workers=1, include=["linear"], watch=watch, warm_start=False, **more
    )


def _at_first_report(_, events):
    if any(isinstance(event, Reported) for event in events):
        signal.raise_signal(signal.SIGINT)


def test_a_hurry_brings_all_deadlines_of_one_nearer():
    hurry = Hurry()
    end = Deadline.after(LONG)
    plain, hurried = end, Deadline(end.end, hurry)
    made = [hurried, hurried.earlier(1), hurried.share(2), hurried.within(2 * LONG), hurried.earlier(-5)]
    assert all(one.remaining > SOON for one in made)
    hurry.begin(SOON)
    hurry.begin(2 * LONG)  # no later one takes its place
    assert all(0 < one.remaining <= SOON for one in made)
    assert plain.remaining > SOON
    hurry.begin(0.0)
    assert all(one.passed for one in made)


@pytest.mark.parametrize("trials", [None, 50])
def test_after_ctrl_c_a_model_is_made_soon_of_what_there_is(monkeypatch, trials):
    limits, repeated = [], []

    def last_fit(search, ensemble, last, *more):
        limits.append(last.deadline.remaining)
        return original(search, ensemble, last, *more)

    original = conclude.last_fit
    monkeypatch.setattr(conclude, "last_fit", last_fit)
    monkeypatch.setattr(conclude, "repeat", lambda *_: repeated.append(1))
    result = _fit(_at_first_report, trials=trials)
    assert result.interrupted
    assert result.trials <= 2
    assert result.model.members[0].name == "linear"
    assert max(limits) <= SOON
    assert not repeated
    assert any(
        note.startswith("interrupted: members are fitted once more only where") for note in result.notes
    )


def test_what_is_chosen_and_looked_for_at_the_end_is_hurried_too(monkeypatch):
    limits = []

    def fit_factors(*given):
        limits.append(given[-1].remaining)

    def choose_quick(search, saved, deadline, predict_time):
        limits.append(deadline.remaining)
        return original(search, saved, deadline, predict_time)

    original = conclude.choose_quick
    monkeypatch.setattr(conclude, "choose_quick", choose_quick)
    monkeypatch.setattr(conclude, "fit_factors", fit_factors)
    frame = _table().assign(y=lambda table: np.where(table.y > 0, "yes", "no"))
    fit_table(frame, "y", budget=LONG, workers=1, include=["linear"], watch=_at_first_report)
    assert len(limits) == 2
    assert max(limits) <= SOON


def test_ctrl_c_while_the_model_is_made_hurries_it(monkeypatch):
    said, limits = [], []

    def choose_quick(search, saved, deadline, predict_time):
        limits.append(deadline.remaining)
        signal.raise_signal(signal.SIGINT)
        limits.append(deadline.remaining)
        return original(search, saved, deadline, predict_time)

    original, before = conclude.choose_quick, signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(conclude, "choose_quick", choose_quick)
    with told_to(said.append):
        result = _fit(trials=2)
    assert result.interrupted
    assert limits[0] > SOON >= limits[1]
    assert said == ["interrupted, making a model of what was found; Ctrl-C again stops at once"]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_waits_for_no_fit(monkeypatch):
    """One thread sends it until it is heard: a signal just before the main thread sleeps wakes nobody."""
    gate, heard, left, turn = threading.Event(), threading.Event(), threading.Event(), threading.Lock()

    def endless(*_):
        if turn.acquire(blocking=False):
            os.kill(os.getpid(), signal.SIGINT)
            assert heard.wait(60)
            while not left.wait(0.05):
                os.kill(os.getpid(), signal.SIGINT)
        gate.wait(60)

    monkeypatch.setattr(members, "_made", endless)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # what comes after the fit is over
    try:
        with told_to(lambda _: heard.set()), pytest.raises(KeyboardInterrupt):
            _fit(trials=2)
        assert interrupts.abandoned()
    finally:
        left.set()
        gate.set()
        while interrupts.abandoned():
            time.sleep(0.01)
        signal.signal(signal.SIGINT, before)


def test_work_in_threads_is_waited_for_otherwise():
    with interrupts.threads(2) as pool:
        done = [pool.submit(time.sleep, 0.01) for _ in range(4)]
    assert all(one.done() for one in done)
    assert not interrupts.abandoned()


def test_no_session_follows_the_one_that_ctrl_c_ended(monkeypatch):
    """Neither that of the workers, nor one that is rather late than never."""
    sessions = []
    monkeypatch.setattr(Search, "plan", lambda *_: Plan(20, 2, certain=False))
    monkeypatch.setattr(Search, "_session", lambda _, plan, *more: sessions.append(plan) or "interrupted")
    result = fit_table(_table(), "y", budget=60, workers=2, include=["linear"], warm_start=False)
    assert result.interrupted
    assert sessions == [Plan(1, 1, certain=True)]


def test_a_trial_that_waits_for_the_end_stops_when_it_is_told():
    with pytest.raises(Stopped):
        evaluate._wait_for(Deadline.after(LONG), lambda: True)
