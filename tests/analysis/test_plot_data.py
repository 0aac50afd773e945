"""What plots show, before it is drawn."""

from itertools import pairwise

import numpy as np
import pytest

import rung
from rung.analysis.charts import sequence, value_axis
from rung.analysis.data.climb import FATES, climbers, planned_trials, rung_counts
from rung.analysis.data.fronts import front, top_resource
from rung.analysis.data.jobs import jobs, merged
from rung.analysis.data.lineage import ancestry, links
from rung.analysis.data.progress import best_so_far, curves, distribution, latest
from rung.analysis.data.surface import SIDE, smoothed
from rung.analysis.data.values import choose_resource, measured, thin
from rung.analysis.plotting import chart
from rung.analysis.report import page, usable_charts
from rung.analysis.subject import Subject, subject_of
from rung.errors import StudyError
from rung.study.front import front as study_front
from rung.trials import events as ev
from rung.trials.events import Failure
from support.studies import identity_of


def test_the_ladder_counts_every_trial_once(subject):
    for name in ("asha", "stopping", "hyperband", "running"):
        one = subject(name)
        history = one.history
        every = climbers(one)
        assert [climber.trial for climber in every] == list(range(len(history)))
        assert {climber.fate for climber in every} <= set(FATES) - {"went on"}
        for count in rung_counts(one):
            at = history.results.get(count.resource)
            assert count.reached == (0 if at is None else len(at)), name
            assert sum(count.fates.values()) == count.reached
            higher = {
                trial
                for r, column in history.results.items()
                if r > count.resource
                for trial in column.trials
            }
            assert count.fates.get("went on", 0) == len(higher & set(at.trials if at else ()))


def test_fates_say_what_became_of_a_trial(subject):
    for name, state, fate in (
        ("asha", "paused", "stayed"),
        ("stopping", "stopped", "stopped"),
        ("asha", "complete", "complete"),
        ("running", "running", "running"),
    ):
        one = subject(name)
        of_state = {r.number for r in one.records if str(r.state) == state}
        assert of_state
        assert {c.trial for c in climbers(one) if c.fate == fate} == of_state, (name, state)


def test_why_a_trial_stayed(subject):
    asha = subject("asha")
    stayed = next(c for c in climbers(asha) if c.fate == "stayed" and c.top == 3)
    column = asha.history.results[3]
    place = 1 + sum(value < stayed.value for value in column.values)
    count = sum(np.isfinite(column.values))
    on = next(c for c in rung_counts(asha) if c.resource == 3).fates["went on"]
    assert stayed.why == (
        f"stayed: {stayed.value:.4g} at epoch 3, place {place} of {count} there; {on} went on"
    )


def test_what_breaks_a_constraint_is_shown_by_its_metric():
    """On the ladder and in its table: behind all others in place, but with the value that was told."""
    study = rung.Study(
        {"x": rung.Float(0.4, 1.0)},
        metric="acc",
        mode="max",
        resource=("epoch", 1, 9),
        scheduler="asha",
        sampler="random",
        trials=9,
        constraints=["size <= 0.5"],
        seed=0,
    )
    while not study.done:
        job = study.ask()
        study.tell(job, {"acc": job.config["x"], "size": job.config["x"]})
    one = subject_of(study)
    values = {record.number: record.value for record in one.records}
    broken = {number for number, value in values.items() if value > 0.5}
    assert 0 < len(broken) < 9
    for climber in climbers(one):
        assert climber.value == values[climber.trial]
        assert f"{climber.value:.4g} at epoch {climber.top}" in climber.why
        assert (", a constraint broken," in climber.why) == (climber.trial in broken)
    first = rung_counts(one)[0]
    on = {climber.trial for climber in climbers(one) if climber.top > 1}
    assert first.broken == bool(on & broken)
    assert first.last_on in {values[trial] for trial in on}
    assert "e+30" not in page(one, usable_charts(one))


def test_the_worst_that_went_on_may_break_a_constraint():
    """Where none keeps them the least broken goes on, and the table says so."""
    study = rung.Study(
        {"x": rung.Float(0.4, 1.0)},
        resource=("epoch", 1, 9),
        scheduler="asha",
        sampler="random",
        trials=9,
        constraints=["loss <= 0.1"],
        seed=0,
    )
    while not study.done:
        job = study.ask()
        study.tell(job, job.config["x"])
    one = subject_of(study)
    first = rung_counts(one)[0]
    assert first.broken
    assert 0.4 <= first.last_on <= 1.0
    words = page(one, [chart(one, "ladder")])
    assert f"{first.last_on:.5g}, breaks a constraint</td>" in words
    assert f"the worst that went on has {first.last_on:.5g} and breaks a constraint" in words
    assert "or better" not in words.partition('id="figures">')[2].partition("</script>")[0]


def test_the_plan_stands_beside_what_ran(subject):
    planned = planned_trials(subject("hyperband"))
    assert {c.resource: c.planned for c in rung_counts(subject("hyperband"))} == planned
    assert all(c.planned is None for c in rung_counts(subject("hyperband"), bracket=0))
    assert planned_trials(subject("empty")) == {}


def test_a_bracket_alone(subject):
    one = subject("hyperband")
    brackets = set(one.history.brackets)
    assert len(brackets) > 1
    for resource in (9, 27):
        parts = [
            next(c.reached for c in rung_counts(one, bracket) if c.resource == resource)
            for bracket in brackets
        ]
        assert sum(parts) == next(c.reached for c in rung_counts(one) if c.resource == resource)


# -- the time line ---------------------------------------------------------------------------------------


def test_jobs_never_overlap_in_a_lane(subject):
    found = jobs(subject("asha").events)
    assert len(found.jobs) == sum(isinstance(e, ev.JobStarted) for e in subject("asha").events)
    assert {job.lane for job in found.jobs} == set(range(4))
    for lane in range(4):
        here = [job for job in found.jobs if job.lane == lane]
        assert all(a.ended <= b.began for a, b in pairwise(here))
    assert max(job.ended for job in found.jobs) == pytest.approx(found.seconds)


def test_time_between_sessions_is_left_out():
    log = [
        ev.StudyCreated(identity_of(), "test", 0.0),
        ev.SessionStarted("here", 1, "local", 2, time=100.0),
        ev.JobStarted(0, 1, values=(), time=101.0),
        ev.Reported(0, 1, {"loss": 1.0}, time=103.0),  # and then it dies
        ev.SessionStarted("here", 2, "local", 2, time=5000.0),
        ev.JobFailed(0, Failure.INTERRUPTED, time=5000.0),
        ev.JobStarted(0, 1, attempt=1, time=5001.0),
        ev.JobFinished(0, 0, time=5001.5),  # late: of an earlier attempt
        ev.JobFinished(0, 1, time=5003.0),
        ev.JobStarted(1, 1, values=(), time=5003.0),
    ]
    found = jobs(log)
    spans = [(job.trial, job.began, job.ended, job.outcome) for job in found.jobs]
    assert spans == [(0, 1.0, 3.0, "interrupted"), (0, 4.0, 6.0, "finished"), (1, 6.0, 6.0, "running")]
    assert (found.breaks, found.seconds) == ([3.0], 6.0)


def test_short_jobs_are_drawn_together(subject):
    found = jobs(subject("asha").events).jobs
    assert [job for job, _ in merged(found, 0.0)] == found
    few = merged(found, 5.0)
    assert len(few) < len(found)
    assert sum(count for _, count in few) == len(found)


# -- values ----------------------------------------------------------------------------------------------


def test_the_last_values_are_those_of_the_history(subject):
    for name in ("asha", "plain", "max"):
        one = subject(name)
        found = latest(one, one.goals[0])
        sign = -1.0 if one.identity.mode == "max" else 1.0
        expected = {t: sign * v for t, v in enumerate(one.history.latest) if np.isfinite(v)}
        assert dict(zip(found.trials.tolist(), found.values.tolist(), strict=True)) == expected
        assert set(found.failed) == {r.number for r in one.records if str(r.state) == "failed"}


def test_the_best_so_far_ends_at_the_incumbent(subject):
    for name in ("asha", "plain", "max", "population"):
        one = subject(name)
        x, best = best_so_far(one, one.goals[0], latest(one, one.goals[0]))
        assert best[-1] == one.history.incumbent.value
        assert (np.diff(x) >= 0).all()
        sign = -1.0 if one.identity.mode == "max" else 1.0
        steps = np.diff(sign * best)
        assert (steps[np.isfinite(steps)] <= 0).all(), "between gaps it only gets better"


def test_of_several_objectives_each_has_its_best(subject):
    two = subject("two")
    for goal in two.goals:
        found = latest(two, goal)
        _, best = best_so_far(two, goal, found)
        top = found.kept & (found.resources == found.resources.max())
        assert best[-1] == found.values[top].min()


def test_curves_are_the_observations(subject):
    asha = subject("asha")
    found = curves(asha, asha.goals[0])
    best = asha.history.incumbent
    curve = next(curve for curve in found if curve.trial == best.trial)
    assert curve.resources.tolist() == list(range(1, 28))
    assert (curve.reached, curve.values[-1]) == (27, best.value)
    with pytest.raises(StudyError, match="no resource"):
        curves(subject("plain"), subject("plain").goals[0])


def test_measured_values_keep_to_constraints_and_drop_failures(subject):
    two = subject("two")
    found = measured(two, 1, "time")
    assert np.isfinite(found.values).all()
    assert (found.kept == (found.values <= 24.0)).all()
    assert not found.kept.all()
    assert found.values[found.best] == found.values[found.kept].min()
    best = measured(subject("max"), 1)
    assert best.values[best.best] == best.values.max()


def test_the_front_is_the_studys_own(subject):
    two = subject("two")
    found = front(two, top_resource(two))
    assert sorted(found.trials[found.front].tolist()) == study_front(two.history)
    with pytest.raises(StudyError, match="one objective"):
        front(subject("asha"), 1)


def test_the_front_between_two_rungs_is_drawn():
    settings = {"metric": ["loss", "ms"], "resource": ("epoch", 1, 9), "scheduler": "plain", "trials": 4}
    study = rung.Study({"x": rung.Float(0, 1)}, **settings)
    study.report(study.ask(), 2, {"loss": 0.5, "ms": 0.5})
    one = subject_of(study)
    found = front(one, top_resource(one))
    assert (found.trials.tolist(), found.values.tolist(), found.front.tolist()) == ([0], [[0.5, 0.5]], [True])
    assert chart(one, "pareto").title == "Pareto front: 1 of 1 trials at epoch 2"
    assert "on the Pareto front, of 1 trials at epoch 2" in page(one, [])


def test_who_raised_later_is_on_no_front_that_is_drawn():
    def train(trial):
        x = trial.config["x"]
        for epoch in range(trial.start + 1, trial.resource + 1):
            if epoch > 1:
                raise RuntimeError("out of memory")
            trial.report(epoch, loss=x, ms=1 - x)

    space = {"x": rung.Float(0, 1)}
    found = rung.tune(
        train, space, metric=["loss", "ms"], resource=("epoch", 1, 9), sampler="random", trials=9
    )
    one = subject_of(found)
    drawn = front(one, 1)
    assert sorted(drawn.trials.tolist()) == list(range(9))
    assert sorted(drawn.trials[drawn.front].tolist()) == study_front(one.history)
    assert len(study_front(one.history)) < 9


def test_which_fidelity_is_looked_at(subject):
    assert choose_resource(subject("plain")) == 1
    assert choose_resource(subject("population")) == 20  # of few results the last fidelity, if half are there
    with pytest.raises(StudyError, match="0 trials with a value"):
        choose_resource(subject("failed"))


def test_a_smaller_fidelity_is_looked_at_where_a_larger_has_too_few_results(subject):
    asha = subject("asha")
    counts = {r: int(np.isfinite(column.values).sum()) for r, column in asha.history.results.items()}
    few, fullest = min(counts.values()), max(counts.values())
    assert few < fullest
    for least in (few, few + 1, fullest):
        assert counts[choose_resource(asha, least=least)] >= least
    with pytest.raises(StudyError, match=f"{fullest} trials with a value.* at least {fullest + 1}"):
        choose_resource(asha, least=fullest + 1)


def test_thinning_keeps_the_best_and_the_ends():
    losses = np.random.default_rng(0).permutation(1000).astype(float)
    kept = thin(losses, 100)
    assert 75 <= len(kept) <= 100
    assert (np.diff(kept) > 0).all()
    assert set(np.argsort(losses)[:25]) <= set(kept)
    assert kept[0] <= 2
    assert kept[-1] >= 997
    assert thin(losses[:50], 100).tolist() == list(range(50))


def test_a_distribution_rises_to_one():
    x, share = distribution(np.array([3.0, 1.0, 2.0, 2.0]))
    assert x.tolist() == [1.0, 2.0, 2.0, 3.0]
    assert share.tolist() == [0.25, 0.5, 0.75, 1.0]


def test_a_surface_goes_through_its_points_and_is_empty_far_away():
    x, y = np.array([0.1, 0.1, 0.9]), np.array([0.1, 0.9, 0.9])
    z = smoothed(x, y, np.array([1.0, 2.0, 3.0]), width=0.05)
    cell = lambda p: int(p * SIDE)  # noqa: E731
    assert z[cell(0.1), cell(0.1)] == pytest.approx(1.0)
    assert z[cell(0.9), cell(0.1)] == pytest.approx(2.0)
    assert z[cell(0.9), cell(0.9)] == pytest.approx(3.0)
    assert np.isnan(z[cell(0.1), cell(0.9)])


def test_lineage_follows_parents(subject):
    population = subject("population")
    found = links(population)
    assert len(found) == 8
    assert all(link.start in (4, 8, 12, 16) for link in found)
    line = ancestry(found, found[-1].child)
    assert line[-2:] == [found[-1].parent, found[-1].child]
    assert ancestry(found, 0) == [0]
    assert links(subject("asha")) == []


# -- axes ------------------------------------------------------------------------------------------------


def test_axes_are_logarithmic_where_sizes_differ():
    assert value_axis("loss", np.geomspace(1e-3, 10, 20)).log
    assert not value_axis("loss", np.linspace(-1, 1, 20)).log
    assert not value_axis("loss", np.linspace(1, 9, 20)).log
    assert value_axis("loss", np.array([])).span is None


def test_an_outlier_stands_outside_the_axis_only_if_it_is_worse():
    values = np.append(np.linspace(0.0, 1.0, 50), 40.0)
    low, high = value_axis("loss", values, values).span
    assert -0.1 < low < 0.0
    assert 1.0 < high < 1.1
    assert value_axis("accuracy", values, -values).span is None


def test_colours_go_from_light_to_dark():
    colours = sequence(5)
    lightness = [sum(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in colours]
    assert lightness == sorted(lightness, reverse=True)
    assert len(set(colours)) == 5
    assert len(sequence(1)) == 1


def test_a_subject_is_what_its_log_says(subject):
    asha = subject("asha")
    assert asha.steps[-1].incumbent == asha.history.incumbent
    assert asha.best == asha.history.incumbent.trial
    assert subject("empty").best is None
    assert Subject("plain", subject("plain").events).unit is None
    assert asha.at(3) == " at epoch 3"
