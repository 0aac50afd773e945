"""Which trials a front is of: those that stand where the best does, whatever became of the others."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

import rung

SPACE = {"x": rung.Float(0, 1)}
LAST = 4
TOLD = st.fixed_dictionaries(
    {
        "loss": st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan]),
        "ms": st.integers(0, 3),
        "memory": st.integers(0, 4),
    }
)
ENDS = st.one_of(st.sampled_from(["runs", "raises", "ends", "nan"]), TOLD)
LIVES = st.lists(st.tuples(st.lists(TOLD, min_size=1, max_size=LAST), ENDS), min_size=1, max_size=8)


def study_of(trials, **more):
    return rung.Study(
        SPACE, metric=["loss", "ms"], resource=("epoch", 1, LAST), sampler="random", trials=trials, **more
    )


def live(study, told, end):
    job = study.ask()
    for epoch, metrics in enumerate(told, 1):
        study.report(job, epoch, metrics)
    if end == "raises":
        study.tell(job, error="it diverged")
    elif end == "nan":
        study.tell(job, {"loss": math.nan, "ms": 1, "memory": 1})
    elif end == "ends" and len(told) == LAST:
        study.tell(job)
    elif not isinstance(end, str):
        study.tell(job, end)


def standing(told, end):
    """(resource, objectives) of the last sound result, by the rules of the histories' docstring."""
    results = dict(enumerate(told, 1))
    if end in ("raises", "nan"):
        return None
    if not isinstance(end, str):
        results[LAST] = end
    if end != "runs" and LAST in results and not math.isfinite(results[LAST]["loss"]):
        return None  # it came to no value
    sound = [at for at, one in results.items() if math.isfinite(one["loss"]) and one["memory"] <= 3]
    return (max(sound), (results[max(sound)]["loss"], results[max(sound)]["ms"])) if sound else None


@given(lives=LIVES)
@settings(deadline=None)
def test_a_front_is_of_those_that_stand_where_the_best_does(lives):
    study = study_of(len(lives), scheduler="plain", constraints=["memory <= 3"])
    for told, end in lives:
        live(study, told, end)
    found = {trial: one for trial, life in enumerate(lives) if (one := standing(*life)) is not None}
    furthest = max((at for at, _ in found.values()), default=0)
    there = {trial: vector for trial, (at, vector) in found.items() if at == furthest}
    expected = [
        trial
        for trial, one in there.items()
        if not any(other[0] <= one[0] and other[1] <= one[1] and other != one for other in there.values())
    ]
    result = study.result
    assert [trial.number for trial in result.front] == expected
    assert (result.hypervolume is None) == (not expected)
    if expected:
        assert result.best.value == min(loss for loss, _ in there.values())
    assert "<p>" in result._repr_html_()


def test_a_front_between_two_rungs():
    study = study_of(2, scheduler="plain", reference=[1.0, 1.0])
    for x in (0.5, 0.25):
        assert study.report(study.ask(), 2, {"loss": x, "ms": 1 - x})
    assert study.history.results == {}
    assert [trial.number for trial in study.result.front] == [0, 1]
    assert study.result.hypervolume == 0.25 + 0.0625
    assert "<td>0.25</td><td>0.75</td>" in study._repr_html_()


def test_who_tells_nan_on_its_way_stands_on_the_front_with_what_it_told_before():
    study = study_of(1, scheduler="plain")
    live(study, [{"loss": 0.5, "ms": ms} for ms in (1.0, 2.0, 3.0, math.nan)], "runs")
    assert [trial.number for trial in study.result.front] == [0]
    assert study.history.violation(0) == 0.0
    assert "<td>0.5</td><td>3</td>" in study._repr_html_()


def test_who_ended_in_nan_is_on_no_front():
    study = study_of(1, scheduler="plain")
    live(study, [{"loss": 0.5, "ms": ms} for ms in (1.0, 2.0, 3.0, math.nan)], "ends")
    assert study.result.front == []
    assert study.result.hypervolume is None
    assert study.history.violation(0) == 0.0


def test_who_raised_at_a_later_rung_is_on_no_front():
    def train(trial):
        x = trial.config["x"]
        for epoch in range(trial.start + 1, trial.resource + 1):
            if epoch > 1:
                raise RuntimeError("out of memory")
            trial.report(epoch, loss=x, ms=1 - x)

    result = rung.tune(
        train, SPACE, metric=["loss", "ms"], resource=("epoch", 1, 9), sampler="random", trials=9
    )
    failed = [trial.number for trial in result.trials if trial.state == "failed"]
    assert failed
    assert [trial.number for trial in result.front] == [n for n in range(9) if n not in failed]
    assert result.best.number in {trial.number for trial in result.front}
