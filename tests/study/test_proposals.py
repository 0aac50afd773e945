"""What starts next: no configuration twice, what is fixed, a parent's configuration explored."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rung
from rung.errors import SpaceError
from rung.samplers import SAMPLERS, make_sampler
from rung.schedulers.base import Explore, Start
from rung.space import compile_space, to_json
from rung.space.domains import Categorical, Float, Integer, Ordinal
from rung.space.draws import Rng
from rung.space.rules import Condition, Forbidden, Is
from rung.study.explore import explored, perturbed
from rung.study.propose import Proposals
from rung.trials.events import Origin, Requested, StudyCreated
from rung.trials.history import History
from support.driver import identity

SMALL = {
    "a": Categorical([0, 1]),
    "b": Integer(1, 5),
    "c": rung.Choice({"x": {"d": Ordinal([1, 2])}, "y": {}}),
}


def cost(config):
    return config["a"] + config["b"] + config.get("d", 0)


@pytest.mark.parametrize("sampler", ["random", "kde", "auto", "tpe", "evolution"])
def test_a_space_that_can_be_listed_is_gone_through_once(sampler):
    result = rung.tune(cost, SMALL, sampler=sampler, trials=100)
    found = [tuple(sorted(trial.config.items())) for trial in result.trials]
    assert len(found) == len(set(found)) == 30
    assert result.reason == "exhausted"


@pytest.mark.parametrize(
    ("fixed", "size"),
    [
        ({"x": 0.5, "k": "a", "o": "b"}, 1),
        ({"x": 0.5, "o": "b"}, 2),
        ({"x": 0.5, "o": "b", "o.a.m": 0.1}, 2),
        ({"x": 0.5, "o": "a", "o.a.m": 0.1}, 2),
        ({"k": "a", "o": "b"}, None),
        ({"x": 0.5, "k": "a"}, None),
        ({"x": 0.5, "k": "a", "o": "a"}, None),
    ],
)
@pytest.mark.parametrize("sampler", ["random", "auto", "gp"])
def test_what_is_active_nowhere_beside_what_is_fixed_makes_no_more_configurations(fixed, size, sampler):
    space = {
        "x": Float(0, 1),
        "k": Categorical(["a", "b"]),
        "o": rung.Choice({"a": {"m": Float(0, 1)}, "b": {}}),
    }
    result = rung.tune(lambda config: 1.0, space, fixed=fixed, sampler=sampler, trials=6, quiet=True)
    found = {repr(trial.config) for trial in result.trials}
    assert len(found) == len(result.trials) == (size or 6)


def test_true_and_one_are_different_values():
    result = rung.tune(
        lambda config: 0.0, {"a": Categorical([True, 1, 1.0, "1"])}, sampler="random", trials=9
    )
    assert len(result.trials) == 4


def test_on_a_noisy_problem_configurations_come_again():
    result = rung.tune(cost, SMALL, sampler="random", trials=100, noisy=True)
    assert len(result.trials) == 100


def test_what_was_told_is_not_tried_again():
    with rung.Study({"a": Categorical([1, 2])}, sampler="random") as study:
        study.tell({"a": 1}, 0.5)
        job = study.ask()
        assert job.config == {"a": 2}
        study.tell(job, 1.0)
        assert study.ask() is None


def test_resuming_does_not_forget_what_was_tried(tmp_path):
    store = str(tmp_path / "s.db")
    for trials in (10, 20, 60):
        result = rung.tune(cost, SMALL, sampler="random", trials=trials, storage=store, study="s")
    assert len({str(trial.config) for trial in result.trials}) == len(result.trials) == 30


# -- what is fixed ------------------------------------------------------------------------------------


def test_fixed_values_hold_until_they_are_given_free():
    with rung.Study(SMALL | {"x": Float(0, 1)}, sampler="random") as study:
        study.fix({"a": 1, "d": 2})
        first = [study.ask().config for _ in range(20)]
        study.fix({})
        then = [study.ask().config for _ in range(20)]
    assert {config["a"] for config in first} == {1}
    assert {config.get("d") for config in first} == {2, None}
    assert {config["a"] for config in then} == {0, 1}


def test_fixing_a_branch_brings_its_parameters():
    result = rung.tune(cost, SMALL, sampler="random", trials=8, fixed={"c": "x"})
    assert all("d" in trial.config for trial in result.trials)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"z": 1}, "'z' cannot be fixed"), ({"b": 9}, "'b' is 9"), ({"a": 0, "b": 1}, "no configuration with")],
)
def test_what_cannot_be_fixed(values, message):
    space = rung.Space(SMALL, forbidden=[Forbidden(Is("b", equals=1))])
    with rung.Study(space) as study, pytest.raises(SpaceError, match=message):
        study.fix(values)


BRANCHES = {
    "lr": Float(0, 1),
    "opt": rung.Choice({n: {f"m_{n}": Float(0, 1)} for n in "abcdefgh"}),
}


def spread(values, low=0.0, high=1.0):
    """Whether these are all different, and no quarter of the range lacks its share of them."""
    counts = [0, 0, 0, 0]
    for value in values:
        counts[min(3, int(4 * (value - low) / (high - low)))] += 1
    return len(set(values)) == len(values) and min(counts) >= len(values) / 10


@pytest.mark.parametrize("sampler", ["random", "kde", "sobol"])
def test_what_becomes_active_beside_what_is_fixed_is_drawn(sampler):
    result = rung.tune(
        lambda config: 1.0, BRANCHES, sampler=sampler, trials=40, seed=1, fixed={"opt": "a"}, quiet=True
    )
    assert {frozenset(trial.config) for trial in result.trials} == {frozenset({"lr", "opt", "m_a"})}
    assert spread([trial.config["m_a"] for trial in result.trials])


def test_what_an_enqueued_configuration_leaves_out_is_drawn():
    with rung.Study(BRANCHES, sampler="random", trials=40, seed=1) as study:
        for _ in range(40):
            study.enqueue({"opt": "a"})
        assert spread([study.ask().config["m_a"] for _ in range(40)])


@pytest.mark.parametrize("edge", [0.005, 0.3])
@pytest.mark.parametrize("sampler", ["random", "kde", "auto"])
def test_nothing_forbidden_runs_beside_what_is_fixed(sampler, edge):
    """However little is left; without a model it is gone through evenly."""
    space = rung.Space(
        {"x": Float(0, 1), "flag": Categorical(["a", "b"])},
        forbidden=[Forbidden(Is("flag", equals="a") & Is("x", greater=edge))],
    )
    result = rung.tune(
        lambda config: 1.0, space, sampler=sampler, trials=40, seed=0, fixed={"flag": "a"}, quiet=True
    )
    assert len(result.trials) == 40
    assert {trial.config["flag"] for trial in result.trials} == {"a"}
    assert max(trial.config["x"] for trial in result.trials) <= edge
    found = [trial.config["x"] for trial in result.trials]
    assert len(set(found)) == 40
    assert sampler == "kde" or spread(found, 0.0, edge)


def test_a_model_s_choice_that_is_forbidden_beside_what_is_fixed_gives_way_to_a_random_one():
    space = rung.Space(
        {"x": Float(0, 1), "k": Categorical(["a", "b"])},
        forbidden=[Forbidden(Is("k", equals="a") & Is("x", greater=0.5))],
    )
    history = History()
    history.fold(StudyCreated(msgspec.structs.replace(identity(1, 9, 3), space=to_json(space)), "test"))
    history.fold(Requested("fix", {"k": "a"}))
    origin = Origin("model", model=True)
    proposals = Proposals(make_sampler("random"))
    for values, kept in [((0.25, "b"), True), ((0.75, "b"), False)]:
        found = proposals.next(history, Start(9, values=values, origin=origin), 0)
        assert found.values[1] == "a"
        assert found.values[0] <= 0.5
        assert (found.origin == origin) == (found.values[0] == 0.25) == kept


def test_a_new_space_that_forbids_what_is_fixed_is_refused():
    with rung.Study({"x": Float(0, 1), "k": Categorical(["a", "b"])}) as study:
        study.fix({"k": "a"})
        new = rung.Space(
            {"x": Float(0, 2), "k": Categorical(["a", "b"])}, forbidden=[Forbidden(Is("k", equals="a"))]
        )
        with pytest.raises(SpaceError, match="which is fixed"):
            study.change_space(new)


def test_what_is_left_beside_a_fixed_number_is_gone_through_once():
    """The number opens a parameter that is closed at the middle of its range."""
    space = rung.Space(
        {"n": Integer(1, 9), "k": Integer(1, 40), "f": Float(0, 1)},
        conditions=[Condition("k", "n", greater=7), Condition("f", "n", less=3)],
    )
    result = rung.tune(lambda config: 1.0, space, sampler="random", trials=60, fixed={"n": 8}, quiet=True)
    assert sorted(trial.config["k"] for trial in result.trials) == list(range(1, 41))
    assert result.reason == "exhausted"


# -- exploring ----------------------------------------------------------------------------------------

WIDE = compile_space(
    rung.Space(
        {
            "lr": Float(1e-5, 1, log=True),
            "drop": Float(0, 1, step=0.25),
            "layers": Integer(1, 8),
            "batch": Ordinal([16, 32, 64]),
            "kind": rung.Choice({"sgd": {"m": Float(0, 1)}, "adam": {}}),
        },
        forbidden=[Forbidden(Is("layers", equals=3))],
    )
)


@given(seed=st.integers(0, 2**62), number=st.integers(0, 1000), resample=st.sampled_from([0.0, 0.25, 1.0]))
@settings(max_examples=100, deadline=None)
def test_explored_configurations_are_legal_and_repeatable(seed, number, resample):
    parent = WIDE.sample(seed, number)
    how = Explore(resample, 1.2)
    child = explored(WIDE, parent, how, Rng(seed, number))
    assert WIDE.from_mapping(WIDE.to_mapping(child)) == child
    assert child == explored(WIDE, parent, how, Rng(seed, number))


def test_without_resampling_each_value_moves_one_step():
    parent = WIDE.from_mapping({"lr": 0.01, "drop": 0.5, "layers": 5, "batch": 32, "kind": "sgd", "m": 0.4})
    seen = [WIDE.to_mapping(explored(WIDE, parent, Explore(0.0, 1.2), Rng(0, n))) for n in range(200)]
    assert {round(config["lr"], 9) for config in seen} == {round(0.012, 9), round(0.01 / 1.2, 9)}
    assert {config["drop"] for config in seen} == {0.25, 0.75}
    assert {config["layers"] for config in seen} <= {4, 5, 6}
    assert {config["batch"] for config in seen} == {16, 64}
    assert {config["kind"] for config in seen} == {"sgd"}


def test_what_exploring_draws_anew_is_drawn_from_the_prior():
    """Of a parent's branch, and of one that it did not have: none rests at its default."""
    space = compile_space(BRANCHES)
    parent = space.from_mapping({"lr": 0.2, "opt": "b", "m_b": 0.9})
    seen = [explored(space, parent, Explore(0.25, 1.2), Rng(0, n), {}) for n in range(400)]
    kept = [space.to_mapping(child) for child in seen]
    new = [value for config in kept for name, value in config.items() if name.startswith("m_")]
    assert 0.5 not in new
    assert spread([v for v in new if v not in (0.9 / 1.2, 1.0)])


def test_the_ends_of_a_range_hold():
    import numpy as np

    rng = np.random.default_rng(0)
    assert all(
        0.1 <= perturbed(Float(0.1, 1), value, 1.5, rng) <= 1 for value in (0.1, 1.0) for _ in range(9)
    )
    assert {perturbed(Integer(1, 3), 3, 1.2, rng) for _ in range(30)} == {2, 3}
    assert {perturbed(Integer(0, 64, step=32), 32, 1.2, rng) for _ in range(30)} == {0, 64}
    assert perturbed(Categorical(["a", "b"]), "a", 1.2, rng) == "a"


FREE = {"x": Float(0, 1), "y": Float(0, 1), "k": Categorical(["a", "b"])}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_fixed_holds_to_the_end(sampler):
    """Two configurations are left when both numbers are fixed; none ever breaks the fix."""
    result = rung.tune(
        lambda config: config["x"], FREE, sampler=sampler, trials=25, fixed={"x": 0.25, "y": 0.75}
    )
    assert {(trial.config["x"], trial.config["y"]) for trial in result.trials} == {(0.25, 0.75)}
    assert sorted(trial.config["k"] for trial in result.trials) == ["a", "b"]
    assert result.reason == "exhausted"


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp"])
def test_what_is_fixed_holds_on_a_noisy_problem(sampler):
    fixed = {"x": 0.25, "k": "b"}
    result = rung.tune(lambda config: config["y"], FREE, sampler=sampler, trials=15, fixed=fixed, noisy=True)
    assert len(result.trials) == 15
    assert all(trial.config["x"] == 0.25 and trial.config["k"] == "b" for trial in result.trials)


def test_a_population_keeps_to_what_is_fixed_and_legal():
    space = rung.Space(FREE, forbidden=[Forbidden(Is("k", equals="a") & Is("x", greater=0.5))])
    result = rung.tune(
        lambda config, budget: config["y"] / budget,
        space,
        resource=("epoch", 1, 10),
        scheduler="pbt(population=5)",
        sampler="random",
        trials=40,
        fixed={"k": "a"},
    )
    assert all(trial.config["k"] == "a" and trial.config["x"] <= 0.5 for trial in result.trials)
    assert any(trial.origin.parent is not None for trial in result.trials)


def test_after_the_end_more_can_be_asked_for():
    with rung.Study({"a": Categorical([1, 2])}, sampler="random") as study:
        study.fix({"a": 1})
        study.tell(study.ask(), 0.0)
        assert study.ask() is None
        study.fix({})
        assert study.ask().config == {"a": 2}
        assert study.ask() is None
        study.enqueue({"a": 1})
        assert study.ask().config == {"a": 1}
