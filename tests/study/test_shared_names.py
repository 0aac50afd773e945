"""A parameter's name that branches of a space share: what is asked for or fixed is of the one that has it."""

import pytest

import rung
from rung.errors import SpaceError

SPACE = {
    "model": rung.Choice({"tree": {"depth": rung.Integer(1, 30)}, "net": {"depth": rung.Integer(1, 4)}}),
    "x": rung.Float(0.0, 1.0),
}
TREE = {"model": "tree", "depth": 20}


def depth(config):
    return config["x"] + config["depth"]


def study(sampler="random", trials=8):
    return rung.Study(SPACE, sampler=sampler, trials=trials)


def test_what_was_asked_for_runs_once(tmp_path):
    whole = {**TREE, "x": 0.5}
    for trials in (2, 4, 6):
        result = rung.tune(
            depth,
            SPACE,
            sampler="random",
            trials=trials,
            enqueue=[whole],
            storage=tmp_path / "s.db",
            study="s",
        )
    assert [trial.config == whole for trial in result.trials] == [True] + [False] * 5


@pytest.mark.parametrize(
    "part", [TREE, {"model": "net", "depth": 2}, {"depth": 20}, {"model.tree.depth": 20}]
)
def test_a_part_of_a_configuration_is_of_the_branch_that_has_it(part):
    one = study()
    one.enqueue(part)
    config = one.ask().config
    assert config["model"] == part.get("model", "tree")
    assert config["depth"] == part.get("depth", 20)


@pytest.mark.parametrize("sampler", ["random", "tpe", "genetic"])
def test_a_value_is_fixed_in_the_branch_that_has_it(sampler):
    one = study(sampler)
    one.fix(TREE)
    result = one.run(depth)
    assert all({**trial.config, **TREE} == trial.config for trial in result.trials)
    one.change_space({**SPACE, "x": rung.Float(0.0, 0.5)})
    assert one.history.fixed == TREE


def test_a_value_that_a_branch_in_question_cannot_have_is_refused():
    one = study()
    wrong = r"'model\.net\.depth' is 20, which is not between 1 and 4"
    with pytest.raises(SpaceError, match=wrong):
        one.enqueue({"model": "net", "depth": 20})
    with pytest.raises(SpaceError, match=wrong):
        one.fix({"depth": 20})
    with pytest.raises(SpaceError, match=r"'model\.tree\.depth' is 40"):
        one.enqueue({"depth": 40})
    one.fix({"model": "net"})
    with pytest.raises(SpaceError, match=wrong):
        one.enqueue({"depth": 20})
    one.fix(TREE)
    with pytest.raises(SpaceError, match="'depth' is fixed at 20, which is not in the new space"):
        one.change_space({**SPACE, "model": rung.Choice({"tree": {"depth": rung.Integer(1, 9)}, "net": {}})})
