"""Warm starts: what earlier studies found helps where it holds, and costs little where it misleads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, wilcoxon

import rung
from rung.errors import StudyError
from rung.samplers.transfer import FIRST, TOPIC, _estimates, _points, earlier_of, share
from rung.samplers.transfer import _own as own_of
from rung.space import compile_space
from rung.storage import open_storage
from rung.study.audit import audit

SPACE = {"lr": rung.Float(1e-5, 1.0, log=True), "m": rung.Float(0, 1), "k": rung.Categorical(["a", "b", "c"])}


def bowl(target, right="b"):
    """A task: its optimum lies at `target` in log10 of lr."""

    def objective(config):
        return (np.log10(config["lr"]) - target) ** 2 + config["m"] + 0.5 * (config["k"] != right)

    return objective


def earlier(objective, trials=40, space=SPACE):
    return rung.tune(objective, space, sampler="random", trials=trials, seed=99)


HELPFUL = earlier(lambda config: 7.0 + 100.0 * bowl(-2.1)(config))  # on another scale
MISLEADING = earlier(lambda config: -bowl(-2.0)(config))


def best_after(trials, seed, transfer=(), sampler="tpe"):
    found = rung.tune(bowl(-2.0), SPACE, sampler=sampler, trials=trials, seed=seed, transfer=transfer)
    return found.best.value


def test_the_first_proposals_are_earlier_bests_and_the_bases_in_turn():
    result = rung.tune(bowl(-2.0), SPACE, sampler="tpe", trials=2 * FIRST, transfer=[HELPFUL])
    assert [trial.origin.sampler for trial in result.trials[::2]] == ["transfer"] * FIRST
    assert {trial.origin.sampler for trial in result.trials[1::2]} == {"tpe"}
    assert result.trials[0].config == pytest.approx(HELPFUL.best.config)


@pytest.mark.parametrize("sampler", ["tpe", "kde"])
def test_a_related_study_helps_early(sampler):
    """Wilcoxon, one-sided, over seeds, after ten trials."""
    warm = [best_after(10, seed, [HELPFUL], sampler) for seed in range(12)]
    cold = [best_after(10, seed, (), sampler) for seed in range(12)]
    assert wilcoxon(warm, cold, alternative="less").pvalue < 0.01


def test_a_misleading_study_is_never_worse_than_a_cold_start():
    """After the guard has judged it: not worse than a cold start of as many trials but the wasted ones.

    Mann-Whitney, one-sided, would show it; and the medians are close.
    """
    misled = [best_after(40, seed, [MISLEADING]) for seed in range(12)]
    cold = [best_after(40 - FIRST, seed) for seed in range(12)]
    assert mannwhitneyu(misled, cold, alternative="greater").pvalue > 0.05
    assert np.median(misled) < 2.0 * np.median(cold) + 0.02


def test_the_guard_gives_a_misleading_study_no_share():
    for study, expected in ((MISLEADING, False), (HELPFUL, True)):
        result = rung.tune(bowl(-2.0), SPACE, sampler="random", trials=25, transfer=[study])
        history = result.history
        known = earlier_of(history, history.space)
        assert (share(history.space, history, known, own_of(history)) > 0.0) is expected
        later = [trial.origin.sampler for trial in result.trials[2 * FIRST :]]
        assert ("transfer" in later) is expected


@pytest.mark.parametrize("order", ["abz", "zab", "zba"])
def test_the_order_in_which_categories_are_declared_makes_no_estimate_other(order):
    """Of two configurations that differ from a third in nothing but the category, none is nearer to it."""
    space = compile_space(
        {"c": rung.Categorical(list(order))} | {f"x{i}": rung.Float(0, 1) for i in range(9)}
    )
    a, b, z = ((category, *[0.5] * 9) for category in "abz")
    found = _estimates(space, [a, z, b], _points(space, [a, b]), np.array([0.0, 1.0]))
    assert found[1] == pytest.approx(0.5)
    assert found[0] == pytest.approx(1.0 - found[2])
    assert found[0] < 0.1


def test_what_an_earlier_study_knew_is_in_the_log(tmp_path):
    """The earlier study may be deleted: the new one can still be resumed and derived again."""
    store = str(tmp_path / "s.db")
    rung.tune(bowl(-2.1), SPACE, sampler="random", trials=20, storage=store, study="old")
    rung.tune(bowl(-2.0), SPACE, sampler="tpe", trials=8, storage=store, study="new", transfer=["old"])
    opened = rung.Study.open(store, "new")
    opened.storage.delete("old")
    opened.close()
    result = rung.tune(
        bowl(-2.0), SPACE, sampler="tpe", trials=24, storage=store, study="new", transfer=["old"]
    )
    assert len(result.trials) == 24
    assert len(result.history.records[TOPIC]) == 1
    with rung.Study.open(store, "new") as study:
        assert audit(study.events()).differences == ()


def test_an_overlapping_space():
    other = {
        "lr": rung.Float(1e-3, 10.0, log=True),
        "k": rung.Categorical(["b", "c", "d"]),
        "w": rung.Float(0, 1),
    }
    study = rung.tune(lambda config: np.log10(config["lr"]) ** 2, other, sampler="random", trials=30)
    result = rung.tune(bowl(-2.0), SPACE, sampler="random", trials=10, transfer=[study])
    first = result.trials[0].config
    assert set(first) == set(SPACE)
    assert first["k"] in ("b", "c")
    assert first["m"] == 0.5  # the default of what it did not have


def test_a_space_that_nothing_fits_is_a_cold_start():
    study = rung.tune(lambda c: c["q"], {"q": rung.Float(0, 1), "k": rung.Constant("z")}, trials=6)
    result = rung.tune(bowl(-2.0), SPACE, sampler="random", trials=6, transfer=[study])
    assert {trial.origin.sampler for trial in result.trials} == {"random"}


def test_a_base_with_a_state_of_its_own():
    result = rung.tune(bowl(-2.0), SPACE, sampler="evolution", trials=40, transfer=[HELPFUL])
    assert result.history.sampler is not None
    assert {trial.origin.sampler for trial in result.trials} == {"transfer", "evolution"}


@pytest.mark.parametrize("what", ["missing", 3, None])
def test_what_cannot_be_transferred(what):
    with pytest.raises(StudyError):
        rung.tune(bowl(-2.0), SPACE, trials=3, transfer=[what])


def test_what_is_refused_leaves_no_study(tmp_path):
    store = tmp_path / "rung.db"
    rung.tune(bowl(-2.0), SPACE, sampler="random", trials=3, storage=store, study="old")
    with pytest.raises(StudyError, match=r"no study 'nope'.*it has 'old'$"):
        rung.tune(bowl(-2.0), SPACE, trials=3, storage=store, study="new", transfer=["old", "nope"])
    assert [row.name for row in open_storage(str(store)).list()] == ["old"]


def test_a_study_without_results_is_refused():
    empty = rung.Study(SPACE)
    with pytest.raises(StudyError, match="no results"):
        rung.tune(bowl(-2.0), SPACE, trials=3, transfer=[empty])
