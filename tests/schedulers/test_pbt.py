"""Population based training: the rule against a slow version, lineages, schedules trained again."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

import rung
from rung.errors import StudyError
from rung.schedulers.base import Done, Explore, Resume, Start, Wait
from rung.schedulers.pbt import PBT
from rung.schedulers.replay import Replay
from rung.space.draws import key
from rung.study.audit import audit
from rung.trials import events as ev
from rung.trials.events import Limits
from support.driver import Driver, Oracle, identity

choices = st.lists(st.integers(0, 10**6), max_size=120)


class PaperPBT(Oracle):
    """Jaderberg et al. 2017, Algorithm 1 with truncation selection; all is looked up anew each time.

    Without checkpoints, as in the driver: a trial that takes a place begins at 0.
    """

    def __init__(self, size: int, largest: int, step: int, quantile: float) -> None:
        self.size, self.largest, self.step, self.quantile = size, largest, step, quantile
        self.home: dict[int, int] = {}  # trial -> place
        self.holder: dict[int, int] = {}  # place -> its trial
        self.results: list[tuple[int, int, float]] = []
        self.begun = 0
        self.told_since: list[int] = []  # trials whose job has ended, in order

    def started(self, trial, bracket, until):
        if trial not in self.home:
            self.home[trial] = bracket
            self.holder[bracket] = trial
            self.begun += 1
        self.told_since = [one for one in self.told_since if self.home[one] != bracket]

    def told(self, trial, resource, value):
        self.results.append((trial, resource, value))
        if self.holder[self.home[trial]] == trial:
            self.told_since.append(trial)

    def latest(self, trial):
        return next((row for row in reversed(self.results) if row[0] == trial), None)

    def next(self, may_start, busy):
        first = max(self.holder, default=0) // self.size * self.size
        now = {p: t for p, t in self.holder.items() if p >= first}
        rows = [self.latest(trial) for trial in now.values()]
        ranked = sorted((row[2], row[0]) for row in rows if row is not None)
        cut = int(len(ranked) * self.quantile + 1e-9)
        if len(ranked) > 1 and int(self.size * self.quantile + 1e-9) == 0:
            cut = 1
        bottom = [trial for _, trial in ranked[len(ranked) - cut :]] if cut else []
        if may_start and len(now) < self.size:
            free = min(set(range(first, first + self.size)) - set(now))
            return Start(min(self.largest, self.step), free)
        for trial in sorted(self.told_since, key=lambda one: self.latest(one)[1]):
            _, resource, value = self.latest(trial)
            if value < math.inf and resource == self.largest:
                continue
            if value < math.inf and not (may_start and trial in bottom):
                return Resume(trial, min(self.largest, resource + self.step))
            if may_start:
                sound = [one for v, one in ranked if v < math.inf and one != trial]
                top = sound[: max(1, int(len(now) * self.quantile + 1e-9))]
                top = [one for one in top if self.latest(one)[1] < self.largest]
                if top:
                    parent = top[key(0, 17, self.begun) % len(top)]
                    place = self.home[trial]
                    return Start(
                        min(self.largest, self.step), place, parent=parent, explore=Explore(0.25, 1.2)
                    )
                if value < math.inf:
                    return Resume(trial, min(self.largest, resource + self.step))
                return Start(min(self.largest, self.step), self.home[trial])
        if may_start and not busy:
            return Start(min(self.largest, self.step), first + self.size)
        return Wait() if busy else Done()


@given(
    size=st.integers(2, 7),
    largest=st.sampled_from([1, 4, 9, 30]),
    interval=st.sampled_from([None, 1, 3, 50]),
    quantile=st.sampled_from([0.2, 0.34, 0.5]),
    n=st.integers(0, 30),
    slots=st.integers(1, 8),
    numbers=choices,
)
@settings(max_examples=60, deadline=None)
def test_each_decision_is_the_slow_rules(size, largest, interval, quantile, n, slots, numbers):
    oracle = PaperPBT(size, largest, interval or max(1, largest // 10), quantile)
    scheduler = PBT(population=size, interval=interval, quantile=quantile)
    who = identity(1, largest)
    Driver(scheduler, who, Limits(trials=n, retries=2), workers=slots, choices=numbers, oracle=oracle).run()


@pytest.mark.parametrize(
    "settings_",
    [
        {"population": 1},
        {"interval": 0},
        {"quantile": 0.0},
        {"quantile": 0.6},
        {"resample": 2.0},
        {"factor": 1.0},
    ],
)
def test_settings_that_make_no_sense(settings_):
    with pytest.raises(StudyError, match="pbt"):
        PBT(**settings_)


# -- with real training -------------------------------------------------------------------------------

SPACE = {"h": rung.Float(0.0, 1.0)}
RESOURCE = ("step", 1, 40)


def save(done, folder):
    (Path(folder) / "done").write_text(repr(done))


def train(trial):
    """Progress is fastest where h follows a moving target, so that no constant h is good for long."""
    done = float((Path(trial.checkpoint) / "done").read_text()) if trial.checkpoint else 0.0
    for step in range(trial.start, trial.resource):
        done += math.exp(-20.0 * (trial.config["h"] - (0.2 + 0.6 * step / 40)) ** 2)
        trial.report(step + 1, loss=-done, save=partial(save, done))


def tuned(scheduler, seed, trials=120, **more):
    return rung.tune(
        train,
        SPACE,
        resource=RESOURCE,
        sampler="random",
        scheduler=scheduler,
        trials=trials,
        seed=seed,
        **more,
    )


@pytest.fixture(scope="module")
def searched():
    return tuned("pbt(population=6)", 1, trials=40)


def test_a_child_goes_on_from_its_parents_checkpoint(searched):
    result = searched
    children = [trial for trial in result.trials if trial.origin.parent is not None]
    assert children
    history = result.history
    for child in children:
        parent = result.trials[child.origin.parent]
        start = history.starts[child.number]
        assert start > 0
        assert start in [one.resource for one in parent.observations]
        assert child.observations[0].resource == start + 1
    assert max(history.reached) == 40


def test_a_lineage_is_the_schedule_that_was_trained(searched):
    result = searched
    stages = result.lineage()
    assert stages[0].start == 0
    assert [stage.until for stage in stages[:-1]] == [stage.start for stage in stages[1:]]
    assert stages[-1].trial == result.best.number
    done = 0.0
    for stage in stages:
        for step in range(stage.start, stage.until):
            done += math.exp(-20.0 * (stage.config["h"] - (0.2 + 0.6 * step / 40)) ** 2)
    assert result.best.value == pytest.approx(-done)


def test_a_schedule_is_trained_again(searched):
    result = searched
    assert len(result.lineage()) > 1
    again = tuned(result.schedule(repeats=2), 5)
    assert again.best.value == pytest.approx(result.best.value)
    assert len(again.trials) == 2 * len(result.lineage())


def test_a_replay_goes_on_after_a_crash_and_can_be_derived_again(tmp_path, searched):
    schedule = searched.schedule()
    store = str(tmp_path / "s.db")
    first = tuned(schedule, 5, trials=1, storage=store, study="r")
    assert len(first.trials) == 1
    result = tuned(schedule, 5, storage=store, study="r")
    assert len(result.trials) == len(schedule.stages)
    study = rung.Study.open(store, "r")
    assert audit(study.events()).differences == ()
    study.close()


def test_a_replay_whose_resources_do_not_rise():
    with pytest.raises(StudyError, match="rising"):
        Replay(((3, {}), (3, {})))


@pytest.mark.long
def test_a_schedule_that_moves_beats_every_constant_and_random_search():
    """At the same total resource, over seeds (Wilcoxon, one-sided)."""
    pbt, plain = [], []
    for seed in range(8):
        result = tuned("pbt(population=10)", seed, trials=60)
        pbt.append(result.best.value)
        plain.append(tuned("plain", seed, trials=max(1, result.history.spent // 40)).best.value)
    assert wilcoxon(pbt, plain, alternative="less").pvalue < 0.01
    constants = [
        -sum(math.exp(-20.0 * (h - (0.2 + 0.6 * step / 40)) ** 2) for step in range(40))
        for h in np.linspace(0, 1, 101)
    ]
    assert np.median(pbt) < min(constants)


def test_a_parents_checkpoint_stays_while_a_child_may_load_it(tmp_path):
    """Several workers: the parent saves on, the folder that a child began from is still there."""
    result = rung.tune(
        train,
        SPACE,
        resource=RESOURCE,
        sampler="random",
        scheduler="pbt(population=6,interval=2)",
        trials=24,
        workers=3,
        storage=str(tmp_path / "s.db"),
        study="p",
    )
    assert [trial.timing.message for trial in result.trials if trial.timing.message] == []
    assert any(trial.origin.parent is not None for trial in result.trials)
    with rung.Study.open(str(tmp_path / "s.db"), "p") as study:
        assert audit(study.events()).differences == ()
        folders = {path.parent.name for path in study.folder.rglob("done")}
    assert len(folders) <= 2  # the incumbent's, and nothing that nobody needs


@pytest.mark.parametrize("scheduler", [PBT(population=2), PBT(population=4), PBT()])
def test_small_populations_exploit_too(scheduler):
    """A fifth of them is less than one member: the worst exploits, once two are known."""
    driver = Driver(scheduler, identity(1, 10), Limits(trials=8), workers=1)
    while not driver.decide():
        job = next(iter(driver.history.running.values())).job
        driver.reports(job, job.until, "value", float(job.trial))
    assert any(isinstance(taken, Start) and taken.parent is not None for _, taken in driver.decisions)


def test_who_has_saved_all_that_there_is_to_train_is_no_parent():
    """Its last job has saved at R and not ended yet: a child would begin at R, with nothing to do."""
    driver = Driver(PBT(population=2, interval=5), identity(1, 10), Limits(trials=9), workers=2)
    driver.decide()
    first, second = (run.job for run in driver.history.running.values())
    driver.reports(first, 5, "value", 0.0)
    driver.decide()  # it trains on
    driver.fold(ev.CheckpointSaved(first.trial, 10, "c"))
    driver.reports(second, 5, "value", 1.0)
    assert driver.ask() == Resume(second.trial, 10)


def test_members_that_failed_are_replaced():
    who = identity(1, 10)
    driver = Driver(PBT(population=4), who, Limits(trials=12), workers=2)
    while not driver.decide():
        job = next(iter(driver.history.running.values())).job
        if job.trial == 0:
            driver.fails(job, ev.Failure.ERROR, job.until, stopping=False)
        else:
            driver.reports(job, job.until, "value", float(job.trial))
    replaced = [e for e in driver.log if isinstance(e, ev.JobStarted) and e.bracket == 0 and e.values]
    assert len(replaced) >= 2
