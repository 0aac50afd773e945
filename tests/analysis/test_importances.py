"""Importance, asked of a whole study."""

import numpy as np
import pytest

import rung
from rung.analysis import importance, importances_by_resource
from rung.analysis.importances import PLACE
from rung.analysis.plotting import chart
from rung.analysis.subject import Subject, subject_of
from rung.errors import StorageError, StudyError
from rung.space.domains import Choice, Float, Space
from support.studies import identity_of, log_of, stored


@pytest.mark.parametrize("method", ["ped-anova", "fanova"])
def test_the_parameter_that_matters_comes_first(subject, method):
    found = importance(subject("plain"), method=method)
    assert found.parameters[0].parameter == "lr"
    assert set(found.to_dict()) == {
        "lr",
        "layers",
        "batch",
        "activation",
        "optimizer",
        "optimizer.sgd.momentum",
        "optimizer.adam.beta",
    }
    values = [one.value for one in found.parameters]
    assert values == sorted(values, reverse=True)
    assert all(one.spread >= 0.0 for one in found.parameters)
    total = sum(values) + (found.rest or 0.0)
    assert total == pytest.approx(1.0, abs=0.02)
    assert (found.resource, found.metric) == (None, "loss")
    assert f"{values[0]:6.1%}" in repr(found)
    assert found["lr"] == values[0]


def test_the_fidelity_is_the_largest_with_enough_results(subject):
    asha = subject("asha")
    results = asha.history.results
    counts = {resource: sum(np.isfinite(column.values)) for resource, column in results.items()}
    assert counts[1] > 70
    found = importance(asha)
    assert found.resource == max(r for r, count in counts.items() if count >= 30)
    assert importance(asha, resource=1).resource == 1
    assert importance(asha, resource=1).trials == 80
    every = importances_by_resource(asha)
    assert [one.resource for one in every] == [r for r in sorted(counts) if counts[r] >= 10]


def test_more_of_a_metric_may_be_better(subject):
    for method in ("ped-anova", "fanova"):
        found = importance(subject("max"), method=method, resource=1)
        assert found.parameters[0].parameter == "layers", method


def test_several_objectives(subject):
    two = subject("two")
    assert importance(two, resource=1).metric == PLACE
    time = importance(two, resource=1, goal="time", method="fanova")
    assert time.metric == "time"
    assert time.parameters[0].parameter == "layers"
    assert importance(two, resource=1, goal="error").metric == "error"
    with pytest.raises(StudyError, match="has no objective 'speed': it has error, time"):
        importance(two, goal="speed")


def test_pairs(subject):
    found = importance(subject("plain"), method="fanova", pairs=True)
    assert len(found.pairs) == 7 * 6 // 2
    values = [value for _, _, value in found.pairs]
    assert values == sorted(values, reverse=True)
    assert min(values) >= 0.0
    with pytest.raises(StudyError, match="by fanova only"):
        importance(subject("plain"), pairs=True)


def test_what_cannot_be_answered(subject):
    with pytest.raises(StudyError, match="measured by ped-anova or fanova, not by 'shap'"):
        importance(subject("plain"), method="shap")
    with pytest.raises(StudyError, match=r"no results at epoch 5; it has some at: 1, 3, 9, 27"):
        importance(subject("asha"), resource=5)
    with pytest.raises(StudyError, match="at least 10"):
        importance(subject("asha"), resource=27)
    with pytest.raises(StudyError, match="0 trials with a value, and this needs at least 10"):
        importance(subject("failed"))
    with pytest.raises(StudyError, match="0 trials with a value"):
        importance(subject("empty"))
    with pytest.raises(StudyError, match="is no study"):
        importance(7)


def test_equal_values_have_nothing_to_explain():
    who = identity_of(Space({"x": Float(0.0, 1.0)}), resource=None, scheduler="plain")
    log = log_of(who, lambda config, resource, rng: {"loss": 1.0}, trials=12, failing=0.0)
    for method in ("ped-anova", "fanova"):
        with pytest.raises(StudyError, match="all 12 trials of study 's' have the same value"):
            importance(Subject("s", log), method=method)


def of_a_branch(good, bad, worse):
    """A study with results of two branches; those of the second are `worse`, the rest is noise."""
    rng = np.random.default_rng(0)
    space = {"lr": Float(0.0, 1.0), "opt": Choice({"sgd": {"m": Float(0.0, 1.0)}, "adam": {}})}
    study = rung.Study(space, trials=1)
    for i in range(good + bad):
        lr, m, noise = rng.random(3).tolist()
        config = {"lr": lr, "opt": "sgd", "m": m} if i < good else {"lr": lr, "opt": "adam"}
        study.tell(config, 0.01 * noise + (0.0 if i < good else worse))
    return importance(study, method="fanova")


@pytest.mark.parametrize("bad", [5, 9, 10, 15])
def test_a_branch_that_was_given_up_early_counts_for_the_choice(bad):
    found = of_a_branch(60, bad, worse=10.0)
    assert found.trials == 60 + bad
    assert found["opt"] > 0.9


def test_one_result_of_a_branch_is_little_evidence():
    assert of_a_branch(60, 1, worse=0.0)["opt"] < 0.1
    bad = of_a_branch(60, 1, worse=10.0).parameters[0]
    assert bad.parameter == "opt"
    assert bad.spread > 0.3  # of the samples that a forest's trees see many have none of it


def test_few_results_in_each_of_many_branches_are_pooled():
    found = of_a_branch(6, 6, worse=10.0)
    assert found.trials == 12
    assert found["opt"] > 0.9


@pytest.mark.parametrize(("trials", "best"), [(12, 6), (20, 10), (99, 10), (200, 20)])
def test_the_plot_says_how_many_are_the_best(trials, best):
    who = identity_of(Space({"x": Float(0.0, 1.0)}), resource=None, scheduler="plain")
    one = Subject("s", log_of(who, lambda config, r, rng: {"loss": config["x"]}, trials=trials, failing=0.0))
    assert importance(one).best == best
    assert importance(one, method="fanova").best is None
    assert chart(one, "importance").note == (
        f"PED-ANOVA over {trials} trials: shares of what each parameter tells about the best {best}."
    )


def test_many_parameters():
    space = Space({f"x{i}": Float(0.0, 1.0) for i in range(200)})
    who = identity_of(space, resource=None, scheduler="plain")
    log = log_of(who, lambda config, resource, rng: {"loss": config["x17"]}, trials=100)
    for method in ("ped-anova", "fanova"):
        assert importance(Subject("s", log), method=method).parameters[0].parameter == "x17", method


def test_studies_are_found_by_name_and_by_result(tmp_path, subject, monkeypatch):
    url = str(tmp_path / "studies.db")
    stored(list(subject("plain").events), url, "made")
    by_name = rung.importance("made", storage=url)
    assert by_name == importance(subject("plain"))
    monkeypatch.setenv("RUNG_STORAGE", url)
    assert rung.importance("made") == by_name
    with pytest.raises(StorageError, match="no storage"):
        rung.importance("made", storage=str(tmp_path / "other.db"))
    assert not (tmp_path / "other.db").exists()
    result = rung.tune(lambda config: config["x"], {"x": rung.Float(0.0, 1.0)}, trials=20, sampler="random")
    assert rung.importance(result).to_dict() == {"x": pytest.approx(1.0)}
    assert dict(rung.importance(result)) == {"x": pytest.approx(1.0)}
    assert list(rung.importance(result)) == ["x"]
    assert len(rung.importance(result)) == 1
    assert subject_of(result).history.incumbent.value == result.best.value
