"""What a table of the best trials shows, and in which order: in a notebook, and in a report."""

import re

import pytest

import rung
from rung.analysis.report import page
from rung.analysis.subject import subject_of


def in_notebook(study):
    rows = study.result._repr_html_().split("<tr>")[2:]
    return [int(re.match(r"<td>(\d+)<", row)[1]) for row in rows]


def in_report(study):
    table = page(subject_of(study), []).partition("proposed by")[2].partition("</table>")[0]
    return [int(number) for number in re.findall(r'<tr[^>]*><td class="r">(\d+)</td>', table)]


@pytest.fixture(params=[in_notebook, in_report])
def shown(request):
    """The trials that a table shows, by number, as they stand in it."""
    return request.param


def run(space=None, **settings):
    study = rung.Study(space or {"x": rung.Float(0.0, 1.0)}, sampler="random", trials=8, seed=0, **settings)
    while not study.done:
        job = study.ask()
        x = job.config["x"]
        study.tell(job, {"loss": 1.0 - x, "size": x})
    return study


def test_trials_that_break_a_constraint_come_last(shown):
    study = run(constraints=["size <= 0.5"])
    sizes = [trial.metrics["size"] for trial in study.result.trials]
    numbers = shown(study)
    assert numbers[0] == study.result.best.number
    assert sorted(numbers) == list(range(8))
    kept = [sizes[number] <= 0.5 for number in numbers]
    assert 0 < sum(kept) < 8
    assert kept == sorted(kept, reverse=True)
    assert [sizes[number] for number, one in zip(numbers, kept, strict=True) if one] == sorted(
        (size for size in sizes if size <= 0.5), reverse=True
    )


def test_without_a_resource_the_number_of_reports_does_not_count(shown):
    def train(trial):
        loss = [0.5, 0.2, 0.4][trial.number]
        for step in range([10, 3, 5][trial.number]):
            trial.report(step + 1, loss=loss)

    study = rung.Study({"x": rung.Float(0.0, 1.0)}, sampler="random", trials=3)
    assert study.run(train).best.number == 1
    assert shown(study) == [1, 2, 0]


@pytest.mark.parametrize("failure", ["nan", "error"])
@pytest.mark.parametrize("resource", [None, ("epoch", 1, 4)])
def test_trials_that_failed_come_behind_the_sound_ones(shown, resource, failure):
    study = rung.Study(
        {"x": rung.Float(0.0, 1.0)}, sampler="random", scheduler="plain", resource=resource, trials=4
    )
    for loss in (0.5, 0.1, 0.4):
        job = study.ask()
        study.report(job, 2, loss)
        if loss > 0.1:
            study.tell(job, loss)
        elif failure == "nan":
            study.tell(job, float("nan"))
        else:
            study.tell(job, error="out of memory")
    study.report(study.ask(), 1, 0.2)  # it runs
    assert shown(study) == [2, 0, 3, 1] if failure == "error" or resource is None else [2, 0, 1, 3]
    assert study.result.best.number == 2


def test_of_several_objectives_the_front_comes_first():
    study = run(metric=["loss", "size"], constraints=["size <= 0.5"])
    numbers, front = in_report(study), {trial.number for trial in study.result.front}
    assert front
    assert set(numbers[: len(front)]) == front


def test_repeats_are_no_trials_of_their_own(shown):
    study = run(confirm=2)
    assert len(study.result.trials) > 8
    assert sorted(shown(study)) == list(range(8))


def test_what_left_the_space_is_left_out(shown):
    study = run()
    study.change_space({"x": rung.Float(0.0, 0.5)})
    inside = {trial.number for trial in study.result.trials if trial.config["x"] <= 0.5}
    assert 0 < len(inside) < 8
    assert set(shown(study)) == inside


def test_why_there_is_no_best_trial():
    words = page(subject_of(run(constraints=["size <= 0.0001"])), [])
    assert "No trial keeps the constraints (size &lt;= 0.0001)." in words
    assert "those that break a constraint come last" in words
