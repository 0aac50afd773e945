"""The default: the table, what it goes by, and that a choice is logged before it is followed."""

from __future__ import annotations

import pytest

import rung
from rung.errors import StudyError
from rung.executors.simulated import SimulatedExecutor
from rung.samplers import SAMPLERS
from rung.samplers.auto import TOPIC
from rung.study import choose as module
from rung.study.audit import audit
from rung.study.choose import TABLE, Facts, choose, facts_of
from rung.trials import events as ev

SPACE = {
    "x": rung.Float(0, 1),
    "k": rung.Choice({"a": {"y": rung.Float(0, 1)}, "b": {}}),
    "c": rung.Constant(1),
}
FACTS = Facts(
    dimensions=4,
    configurations=None,
    fidelities=1,
    goals=1,
    noisy=False,
    results=0,
    evaluations=100,
    seconds=None,
    workers=1,
)


DEAR, CHEAP = "gp", TABLE[-1].sampler


def simulated(seconds, workers=1):
    return SimulatedExecutor(
        workers, lambda config, trial, at: {"loss": config["x"]}, lambda config, a, b, trial: seconds
    )


def tuned(trials=20, **more):
    return rung.tune(lambda config: config["x"], SPACE, trials=trials, **more)


def test_every_row_is_a_sampler_and_the_last_fits_all():
    assert {row.sampler for row in TABLE} <= set(SAMPLERS)
    for results in (0, 10**6):
        assert TABLE[-1].fits(FACTS._replace(results=results, dimensions=500, goals=3))


def test_dear_evaluations_pay_for_a_dearer_model():
    cheap = choose(FACTS._replace(seconds=1e-4, results=50)).sampler.name
    dear = choose(FACTS._replace(seconds=3600.0, results=50)).sampler.name
    assert (cheap, dear) == (CHEAP, DEAR)


def test_many_workers_need_as_many_suggestions():
    one = choose(FACTS._replace(seconds=10.0, results=50)).sampler.name
    many = choose(FACTS._replace(seconds=10.0, results=50, workers=500)).sampler.name
    assert (one, many) == (DEAR, CHEAP)


def test_beyond_a_process_there_is_another_model_for_several_fidelities():
    facts = FACTS._replace(seconds=0.5, results=50, dimensions=2000)
    assert choose(facts._replace(dimensions=80, fidelities=4)).sampler.name == DEAR
    assert choose(facts._replace(fidelities=4)).sampler.name == "mfes"
    for change in ({"fidelities": 1}, {"fidelities": 4, "noisy": True}, {"fidelities": 4, "goals": 2}):
        assert choose(facts._replace(**change)).sampler.name == CHEAP


def test_few_evaluations_and_small_spaces_need_no_model():
    assert choose(FACTS).sampler.name == "sobol"  # as long as nothing is known
    assert choose(FACTS._replace(evaluations=5, results=3)).sampler == ev.Spec(
        "sobol", {"from_default": True}
    )
    small = FACTS._replace(configurations=90, results=10)
    assert choose(small).sampler.name == "grid"
    assert choose(small._replace(evaluations=50)).sampler.name == DEAR
    assert choose(small._replace(noisy=True)).sampler.name == DEAR


@pytest.mark.parametrize(
    ("space", "size"),
    [
        ({"x": rung.Float(0, 1, step=0.05)}, 21),
        ({"n": rung.Integer(1, 20, log=True)}, 20),
        ({"n": rung.Integer(1, 16), "k": rung.Categorical(["a", "b"])}, 32),
    ],
)
def test_all_of_a_small_space_is_all_of_it(space, size):
    """With the grid's own ten values a parameter half of it was left out, and nothing said to be left."""
    result = rung.tune(lambda config: 0.0, space, trials=60, quiet=True)
    assert len({repr(trial.config) for trial in result.trials}) == len(result.trials) == size


def test_a_line_says_what_was_chosen_and_why(capsys):
    tuned(trials=3)
    said = capsys.readouterr().err
    assert said.startswith("rung: scheduler plain, sampler sobol: too few evaluations for a model")
    assert said.count("\n") == 1
    tuned(trials=3, quiet=True)
    tuned(trials=3, sampler="random")
    assert capsys.readouterr().err == ""


def test_what_was_measured_corrects_the_table():
    facts = FACTS._replace(seconds=10.0, results=50)
    slow = {row.sampler: 1000.0 for row in TABLE[:-1]}
    assert choose(facts, factors=slow).sampler.name == CHEAP


def test_a_sampler_in_use_is_not_given_up_at_once():
    """Between what a new one may cost and what one in use may, nothing changes."""
    cost = next(row for row in TABLE if row.sampler == DEAR).cost(50, 4)
    facts = FACTS._replace(results=50, seconds=cost / module.SHARE / 1.5)
    assert choose(facts, DEAR).sampler.name == DEAR
    assert choose(facts, CHEAP).sampler.name == CHEAP


def test_facts_of_a_study():
    result = tuned(workers=1, evaluation_cost="10m")
    facts = facts_of(result.history, 4)
    assert facts == Facts(3, None, 1, 1, False, 20, 20, 600.0, 4)


def test_the_choice_is_logged_before_it_is_followed():
    result = tuned(executor=simulated(3600.0))
    events = list(result._events())
    first = next(i for i, event in enumerate(events) if isinstance(event, ev.JobStarted))
    choices = [event for event in events[:first] if isinstance(event, ev.Recorded) and event.topic == TOPIC]
    assert [event.data["sampler"] for event in choices] == ["sobol"]
    chosen = [event.data["sampler"] for event in result.history.records[TOPIC]]
    assert chosen == ["sobol", DEAR]
    assert choices[0].data["why"]
    assert audit(events).differences == ()


def test_the_choice_follows_what_evaluations_take(tmp_path):
    """Dear at first by declaration, which is taken back when the study is opened again."""
    store = str(tmp_path / "s.db")
    tuned(trials=10, evaluation_cost="1h", storage=store, study="s")
    result = tuned(trials=20, evaluation_cost=1e-4, storage=store, study="s")
    assert [event.data["sampler"] for event in result.history.records[TOPIC]] == [DEAR, CHEAP]


def test_a_named_sampler_is_not_chosen_over():
    result = tuned(sampler="random", executor=simulated(3600.0))
    assert TOPIC not in result.history.records


def test_a_study_goes_on_with_its_own_methods_where_none_are_named(tmp_path):
    store = str(tmp_path / "s.db")
    tuned(trials=3, sampler="random", storage=store, study="s")
    result = tuned(trials=5, storage=store, study="s")
    assert {trial.origin.sampler for trial in result.trials} == {"random"}
    with pytest.raises(StudyError, match="other settings"):
        tuned(trials=5, sampler="kde", storage=store, study="s")
