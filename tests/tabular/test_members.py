"""Which members are fitted on all rows, and what becomes of a last fit that went wrong."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rung.tabular import members as members_module
from rung.tabular.deadline import Deadline
from rung.tabular.decide import tempered
from rung.tabular.finish import choose
from rung.tabular.fit import fit_table
from rung.tabular.learners.table import learners
from rung.tabular.members import Last, completed, make_members
from rung.tabular.pipeline import Constant, Fitted
from rung.tabular.search import Search

STEADY = {"forest", "extra_trees", "svm", "kernel", "linear", "neighbors", "gaussian_process"}
SOON = Last(Deadline.after(600))


def test_steady_are_those_whose_fits_depend_little_on_chance():
    assert {name for name, one in learners().items() if one.steady} - {"tabpfn", "tabicl"} == STEADY


def _frame(rows=150):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["a", "b", "c"])
    return frame.assign(y=np.where(frame.a + frame.b + rng.normal(size=rows) > 0, "yes", "no"))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search over two learners, kept open, with what it saved."""
    kept, original = {}, Search.saved
    path = tmp_path_factory.mktemp("searched") / "rung.db"

    def saved(self):
        kept["search"] = self
        return original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Search, "saved", saved)
        result = fit_table(
            _frame(),
            "y",
            budget=7,
            include=["linear", "bayes"],
            warm_start=False,
            storage=f"sqlite:///{path}",
            study="s",
        )
    search = kept["search"]
    by_learner = {}
    for one in original(search):
        by_learner.setdefault(search.config(one.trial)["learner"], one)
    return search, by_learner, result


def test_a_steady_member_is_one_model_of_all_rows_and_others_are_their_folds(searched):
    search, saved, result = searched
    linear, bayes = make_members(search, [saved["linear"], saved["bayes"]], SOON)
    assert len(linear.pipelines) == 1
    assert len(bayes.pipelines) == result.folds > 1
    assert (linear.name, bayes.name) == ("linear", "bayes")


def test_without_time_the_folds_models_stay(searched):
    search, saved, result = searched
    (linear,) = make_members(search, [saved["linear"]], Last(Deadline.after(-1)))
    assert len(linear.pipelines) == result.folds


def test_asked_for_all_are_fitted_on_all_rows(searched):
    search, saved, _ = searched
    made = make_members(search, [saved["linear"], saved["bayes"]], SOON._replace(refit=True, threads=2))
    assert [len(member.pipelines) for member in made] == [1, 1]


@pytest.mark.parametrize(
    "broken",
    [
        Fitted(Constant(np.array([0.999, 0.001])), {}, cut=False),  # far worse on rows that it has seen
        None,
    ],
)
def test_a_last_fit_that_went_wrong_is_not_used(searched, monkeypatch, broken):
    search, saved, result = searched

    def fit(order, table, y, classes):
        if broken is None:
            raise ValueError("the solver did not find a way")
        return broken

    monkeypatch.setattr(members_module, "fit_pipeline", fit)
    (linear,) = make_members(search, [saved["linear"]], SOON)
    assert len(linear.pipelines) == result.folds


def test_one_that_was_cut_short_is_not_used_either(searched, monkeypatch):
    search, saved, result = searched
    original = members_module.fit_pipeline
    monkeypatch.setattr(members_module, "fit_pipeline", lambda *a: original(*a)._replace(cut=True))
    (linear,) = make_members(search, [saved["linear"]], SOON)
    assert len(linear.pipelines) == result.folds
    (linear,) = make_members(search, [saved["linear"]._replace(cut=True)], SOON)  # no worse than before
    assert len(linear.pipelines) == 1


def test_what_left_models_behind_gets_one_of_all_rows_in_place_of_one(searched):
    search, saved, _ = searched
    whole = make_members(search, [saved["bayes"]], SOON)
    light = [whole[0].__class__(1.0, "bayes", whole[0].pipelines[:2], whole[0].config)]
    (found,) = completed(search, light, [(whole[0], saved["bayes"])], SOON)
    assert len(found.pipelines) == 2
    assert found.pipelines[0] not in whole[0].pipelines
    assert found.pipelines[1] is whole[0].pipelines[0]
    assert completed(search, whole, [(whole[0], saved["bayes"])], SOON) == whole  # nothing was lost


def test_a_stack_shares_the_model_of_all_rows():
    result = fit_table(_frame(900), "y", budget=6, include=["linear", "bayes", "discriminant"])
    stacks = [member for member in result.model.members if member.name == "stack"]
    for stack in stacks:
        for one in stack.pipelines:
            assert all(len(base.pipelines) == 1 for base in one.bases)
    assert np.isfinite(result.model.raw(_frame(20))).all()


def test_a_member_is_as_sure_as_its_temperature_says(searched):
    search, saved, _ = searched
    (member,) = make_members(search, [saved["bayes"]], SOON)
    table = search.dataset.table
    sharp = replace(member, temperature=0.5)
    expected = member.predict(table) ** 2
    assert sharp.predict(table) == pytest.approx(expected / expected.sum(axis=1, keepdims=True))


def test_one_that_is_too_unsure_is_made_surer_before_weights_are_chosen(searched):
    search, saved, _ = searched
    dataset, one = search.dataset, saved["linear"]
    dim = one._replace(prediction=tempered(one.prediction, 3.0))
    log_loss = replace(dataset, metric="log_loss")
    plain, made = (choose(log_loss, [some], Deadline.after(60)) for some in (one, dim))
    assert made.temperatures[one.trial] < 0.6 * plain.temperatures[one.trial]
    assert choose(dataset, [dim], Deadline.after(60)).temperatures == {one.trial: 1.0}  # AUC: order alone
