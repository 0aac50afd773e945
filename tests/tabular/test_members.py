"""Which members are fitted on all rows, and what becomes of a last fit that went wrong."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rung.tabular import evaluate
from rung.tabular import members as members_module
from rung.tabular.deadline import Deadline
from rung.tabular.decide import tempered
from rung.tabular.evaluate import load_pipelines
from rung.tabular.finish import choose
from rung.tabular.fit import fit_table
from rung.tabular.learners.table import learners
from rung.tabular.members import Last, load_beforehand, make_members, seconds_of_refits, with_whole
from rung.tabular.pipeline import Constant, Fitted
from rung.tabular.search import Search
from rung.tabular.splits import make_split

STEADY = {"forest", "extra_trees", "svm", "kernel", "linear", "neighbors", "gaussian_process"}
BOOSTING = {"lightgbm", "xgboost", "catboost", "hist_boosting"}
SOON = Last(Deadline.after(86_400))  # from the import on: later than any session of tests ends


def test_all_rows_are_for_those_whose_fits_depend_little_on_chance_and_half_for_boosting():
    shares = {name: one.whole for name, one in learners().items() if name not in {"tabpfn", "tabicl"}}
    assert {name for name, share in shares.items() if share == 1} == STEADY
    assert {name for name, share in shares.items() if 0 < share < 1} == BOOSTING


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


@pytest.mark.parametrize(("folds", "loaded"), [(1, ["torch"]), (3, [])])
def test_what_last_fits_of_networks_need_is_loaded_beforehand_after_a_holdout(monkeypatch, folds, loaded):
    found = []
    monkeypatch.setattr(evaluate, "import_module", found.append)
    chosen = [learners()[name] for name in ("lightgbm", "linear", "real_mlp", "forest")]
    split = SimpleNamespace(number=folds)
    search = SimpleNamespace(chosen=chosen, dataset=SimpleNamespace(split=split))
    timer = load_beforehand(search, 0.0)
    timer.join(10)
    assert (timer.daemon, found) == (True, loaded)


def test_what_is_broken_is_left_to_the_last_fit_and_what_is_over_loads_nothing(monkeypatch):
    found = []

    def broken(name):
        found.append(name)
        raise ImportError(name)

    monkeypatch.setattr(evaluate, "import_module", broken)
    search = SimpleNamespace(
        chosen=[learners()["real_mlp"]], dataset=SimpleNamespace(split=SimpleNamespace(number=1))
    )
    load_beforehand(search, 0.0).join(10)
    assert found == ["torch"]
    timer = load_beforehand(search, 60.0)
    timer.cancel()
    timer.join(10)
    assert found == ["torch"]


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
            raise AttributeError("whatever a learner raises")
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


@pytest.fixture
def half(monkeypatch):
    """Naive Bayes gives half of its weight to a model of all rows."""
    table = {**learners(), "bayes": replace(learners()["bayes"], whole=0.5)}
    monkeypatch.setattr(members_module, "learners", lambda: table)


def _held_out(search, saved, **change):
    """The same search as if it had held rows out once, and the learner as it is changed."""
    dataset = search.dataset
    split = make_split(np.asarray(dataset.y, float), dataset.classes, 1, 0.3, 0)
    kept = SimpleNamespace(
        dataset=replace(dataset, split=split), study=search.study, config=lambda trial: search.config(trial)
    )
    some = saved._replace(prediction=saved.prediction[split.validation(len(dataset))])
    return kept, some, {**learners(), "bayes": replace(learners()["bayes"], anytime=True, **change)}


@pytest.mark.parametrize(
    ("whole", "cut", "beside"),
    [
        (1.0, True, True),  # a few trees more
        (1.0, False, False),  # as many trees as before, of all rows
        (0.0, False, True),  # one more network
        (0.5, False, False),
    ],
)
def test_after_a_holdout_what_is_hurried_stands_beside_what_there_was(
    searched, monkeypatch, whole, cut, beside
):
    search, saved, _ = searched
    kept, one, table = _held_out(search, saved["bayes"], whole=whole)
    original = members_module.fit_pipeline
    monkeypatch.setattr(members_module, "learners", lambda: table)
    monkeypatch.setattr(members_module, "fit_pipeline", lambda *a: original(*a)._replace(cut=cut))
    made = {
        name: len(make_members(kept, [given], last)[0].pipelines)
        for name, given, last in (
            ("usual", one, SOON),
            ("asked for all rows", one, SOON._replace(refit=True)),
            ("few rows before", one._replace(rows=len(kept.dataset) // 3), SOON),
        )
    }
    before = len(load_pipelines(search.study.folder, one.trial)[0])
    usual = before + 1 if beside else 1
    assert made == {"usual": usual, "asked for all rows": 1, "few rows before": 1}


def test_half_of_the_weight_goes_to_a_model_of_all_rows(searched, half):
    search, saved, _ = searched
    (folds,) = make_members(search, [saved["bayes"]], SOON)
    pairs = [(replace(folds, weight=0.8, temperature=0.7), saved["bayes"])]
    whole, rest = with_whole(search, pairs, SOON)
    assert (whole.weight, rest.weight) == (0.4, 0.4)
    assert (len(whole.pipelines), rest.pipelines) == (1, folds.pipelines)
    assert whole.config == rest.config == search.config(saved["bayes"].trial)
    assert whole.temperature == rest.temperature == 0.7
    assert len(whole.pipelines[0].predict(search.dataset.table)) == len(search.dataset)


def test_without_time_or_a_share_members_stay_as_they_are(searched, half):
    search, saved, _ = searched
    (folds,) = make_members(search, [saved["bayes"]], SOON)
    assert with_whole(search, [(folds, saved["bayes"])], Last(Deadline.after(-1))) == [folds]
    (linear,) = make_members(search, [saved["linear"]], SOON)
    assert with_whole(search, [(linear, saved["linear"])], SOON) == [linear]  # it is of all rows already


def test_fits_on_all_rows_are_reckoned_with_where_they_pay(searched, half):
    search, saved, result = searched
    bayes, linear = saved["bayes"], saved["linear"]
    both = seconds_of_refits(search, [bayes, linear])
    assert both == pytest.approx(1.3 * (bayes.seconds + linear.seconds) / result.folds)


def test_the_leaderboard_gives_a_trial_the_weight_of_both_its_members():
    result = fit_table(_frame(400), "y", budget=4, include=["lightgbm"], warm_start=False)
    names = [len(member.pipelines) for member in result.model.members]
    assert 1 in names
    assert sum(row.weight for row in result.leaderboard) == pytest.approx(1.0)


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
