from __future__ import annotations

import numpy as np
import pytest

from rung import Choice
from rung.schedulers import make_scheduler, spec_of
from rung.storage import open_storage
from rung.study import Study
from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.learners.base import Cost
from rung.tabular.plan import Default, make_plan, make_scheme, workers_pay
from rung.tabular.schedule import DefaultsFirst
from rung.tabular.search import Opening, Search, hopeless_last, quick_first
from rung.tabular.splits import make_split


def test_small_tables_get_folds_and_large_ones_a_holdout():
    assert make_scheme(500, 10, 2, 60, 2).folds == 8
    assert make_scheme(5_000, 10, 2, 300, 2).folds == 5
    assert make_scheme(200_000, 10, 2, 60, 2).folds == 1
    assert make_scheme(500, 10, 2, 0.2, 1).folds == 3


def test_the_lowest_rung_is_not_too_small():
    assert make_scheme(1_000, 10, 2, 60, 2).smallest == 1_000
    assert make_scheme(50_000, 10, 2, 60, 2).smallest == 50_000 // 9


def test_costly_learners_start_lower():
    large = make_scheme(500_000, 30, 20, 30, 2).rungs
    assert large["lightgbm"] > 1
    assert large["lightgbm"] >= large.get("bayes", 1)


def test_a_short_budget_counts_its_trials():
    plan = make_plan([0.1] * 20, 150, 1.0, 2)
    assert (plan.trials, plan.workers, plan.certain) == (4, 1, True)
    assert make_plan([0.1] * 20, 150, 0.1, 2).trials == 2
    assert make_plan([0.1] * 20, 150, 60, 2).trials == 25, "so few rows bear so many configurations"
    assert make_plan([0.5] * 20, 50_000, 60, 2) == make_plan([0.5] * 20, 50_000, 600, 2)


def test_a_default_that_the_time_left_may_be_too_short_for_goes_last():
    defaults = [
        Default(0, {"learner": name}, 9.0, first)
        for name, first in (("kernel", 4.0), ("lightgbm", 4.0), ("bayes", 0.1))
    ]

    def names(left):
        return [x.config["learner"] for x in hopeless_last(defaults, Deadline.after(left))]

    assert names(100) == ["kernel", "lightgbm", "bayes"]
    assert names(2) == ["lightgbm", "bayes", "kernel"], "LightGBM comes back in time with what it has"
    assert names(0.5) == ["bayes", "kernel", "lightgbm"]


def test_what_is_done_alone_is_short():
    given = [
        Default(0, {"learner": name}, 9.0, first)
        for name, first in (("lightgbm", 3.0), ("linear", 0.4), ("bayes", 0.1))
    ]

    def names(seconds):
        return [x.config["learner"] for x in quick_first(given, seconds)]

    assert names(5.0) == ["lightgbm", "linear", "bayes"]
    assert names(1.0) == ["linear", "lightgbm", "bayes"]
    assert names(0.01) == ["bayes", "lightgbm", "linear"], "if none is short enough, the shortest"
    assert quick_first([], 1.0) == []


def test_cost_is_monotone():
    cost = Cost(0.1, rows=1.0, cells=1.0, by_class=1.0)
    assert cost.seconds(1_000, 10, 2) < cost.seconds(2_000, 10, 2) < cost.seconds(2_000, 10, 5)
    wide = Cost(0.0, columns=2.0, by_class=1.0)
    assert wide.seconds(10, 50, 3) == wide.seconds(9_999, 50, 3) == pytest.approx(3.0)
    shared = Cost(0.0, rows=1.0, by_class=0.1)
    assert shared.seconds(10_000, 1, 2) == pytest.approx(1.0), "two classes are one model"
    assert shared.seconds(10_000, 1, 101) == pytest.approx(11.0)
    capped = Cost(0.0, rows=1.0, most=100)
    assert capped.seconds(100, 1, 0) == capped.seconds(9_999, 1, 0)


def test_a_deadline():
    assert Deadline().remaining > 1e300
    assert Deadline.after(-1).passed
    assert Deadline.after(-1).remaining == 0
    later = Deadline.after(1e6)
    assert later.share(4).remaining == pytest.approx(2.5e5, rel=0.01)
    assert later.earlier(3e5).remaining == pytest.approx(7e5, rel=0.01)


SPACE = {"learner": Choice({"quick": {}, "slow": {}, "slower": {}})}


def _study(scheduler, trials=40):
    return Study(
        SPACE,
        resource=("rows", 100, 900),
        scheduler=scheduler,
        sampler="random",
        trials=trials,
        seed=1,
        noisy=True,
    )


def test_defaults_start_where_their_cost_allows():
    study = _study(DefaultsFirst({"slow": 2, "slower": 9}))
    for name in ("quick", "slow", "slower"):
        study.enqueue({"learner": name})
    jobs = [study.ask() for _ in range(4)]
    started = [(job.config["learner"], job.resource) for job in jobs[:3]]
    assert started == [("quick", 900), ("slow", 300), ("slower", 100)]
    assert jobs[3].resource == 100, "the sampler's proposals start at the lowest rung"


def test_what_the_sampler_proposes_climbs_by_asha():
    """The same jobs as ASHA's, where nothing is enqueued."""
    seen = []
    for scheduler in (DefaultsFirst(), "asha"):
        study, jobs = _study(scheduler), []
        while (job := study.ask()) is not None:
            jobs.append((job.number, job.resource))
            study.tell(job, float(job.number * 7 % 11))
        assert study.done
        seen.append(jobs)
    assert seen[0] == seen[1]
    assert {rows for _, rows in seen[0]} == {100, 300, 900}


def test_the_scheduler_survives_the_log():
    scheduler = DefaultsFirst({"slow": 2})
    assert make_scheduler(spec_of(scheduler)) == scheduler


def test_large_tables_begin_with_few_rows():
    """Of three million rows a first trial has some ten thousand, and a holdout fifty thousand."""
    scheme = make_scheme(3_000_000, 20, 2, 60, 2)
    assert scheme.smallest == 3_000_000 // 3**5
    assert scheme.share * 3_000_000 == pytest.approx(50_000)
    assert scheme.rungs["lightgbm"] > 1
    assert make_scheme(3_000_000, 20, 2, 20, 2).rungs["lightgbm"] > scheme.rungs["lightgbm"], "less time"
    assert make_scheme(400_000, 20, 2, 60, 2).share == 0.1


def test_if_it_is_late_for_all_the_shortest_is_first():
    given = [Default(0, {"learner": name}, 9.0, first) for name, first in (("svm", 9.0), ("linear", 2.0))]
    assert [one.config["learner"] for one in hopeless_last(given, Deadline.after(0.1))] == ["linear", "svm"]
    assert hopeless_last(given, Deadline.after(60)) == given


def test_a_short_budget_begins_with_what_is_done_soon():
    """With 26 classes the best of the defaults, LightGBM, takes longer than the whole budget."""
    rng = np.random.default_rng(0)
    y = np.arange(6_000) % 26
    table = Table(rng.normal(size=(6_000, 8)), np.zeros((6_000, 0), dtype=np.int32))
    scheme = make_scheme(6_000, 8, 26, 3.0, 2)
    data = Dataset(table, y, 26, [], make_split(y, 26, scheme.folds, 0.2, 0, None), "log_loss", 0)
    search = Search(data, Opening(open_storage("memory"), None, {}, "multiclass", scheme))
    search.plan(3.0, 2)
    assert search.defaults[0].first <= 0.15 * 3.0
    assert search.defaults[1].config["learner"] == "lightgbm"


def test_workers_are_started_where_they_do_more_than_one_process() -> None:
    assert workers_pay(9.0, 2, busy=0.1)
    assert not workers_pay(6.0, 2, busy=1.9), "they would be there after four of six seconds"
    assert workers_pay(30.0, 2, busy=1.9)
    assert not workers_pay(600.0, 1, busy=0.0)
    assert not workers_pay(2.0, 16, busy=1.0)
