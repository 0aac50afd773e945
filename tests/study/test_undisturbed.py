"""Asking and telling from several threads, and beside Ctrl-C."""

import os
import signal
import threading
import time
from collections import Counter

import pytest

import rung
from rung.study.study import Study

SPACE = {"x": rung.Float(0, 1)}


def consistent(study, place):
    """Whether live history, log and a study opened anew are of the same trials, each with its own value."""
    live = [record.config["x"] for record in study.result.trials]
    study.close()
    again = Study.open(place, study.name)
    try:
        records = again.result.trials
        assert [record.number for record in records] == list(range(len(live)))
        assert [record.config["x"] for record in records] == live
        assert all(record.value in (None, record.config["x"]) for record in records)
    finally:
        again.close()


def test_four_threads_get_each_job_once(tmp_path):
    study = Study(SPACE, storage=tmp_path / "rung.db", trials=40, sampler="random")
    asked: list[int] = []

    def work():
        while not study.done:
            job = study.ask()
            if job is None:
                time.sleep(0.001)
                continue
            asked.append(job.number)
            study.tell(job, job.config["x"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asked) == list(range(40))
    consistent(study, tmp_path / "rung.db")


def test_interrupts_at_any_moment_leave_the_log_whole(tmp_path):
    study = Study(SPACE, storage=tmp_path / "rung.db", trials=60, sampler="random")
    interrupted, asked = 0, Counter[tuple[int, int]]()
    earlier = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        while not study.done and sum(asked.values()) < 1000:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + 0.0037 * (interrupted % 7) / 7)
                job = study.ask()
                if job is None:
                    break  # what an interrupt took between two calls still runs
                asked[job.number, job.attempt] += 1
                study.tell(job, job.config["x"])
            except KeyboardInterrupt:
                interrupted += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
    finally:
        signal.signal(signal.SIGALRM, earlier)
    assert interrupted > 0
    assert set(asked.values()) == {1}
    consistent(study, tmp_path / "rung.db")


def test_an_append_that_was_cut_short_is_read_anew(tmp_path):
    study = Study(SPACE, storage=tmp_path / "rung.db", trials=6, sampler="random")
    log, whole = study.writer.log, study.writer.log.append

    def cut_short(*told):
        log.append = whole
        whole(*told)
        raise KeyboardInterrupt

    log.append = cut_short
    with pytest.raises(KeyboardInterrupt):
        study.ask()
    while (job := study.ask()) is not None:
        study.tell(job, job.config["x"])
    assert len(study.history) == len(study.result.trials) == 6
    consistent(study, tmp_path / "rung.db")


def test_the_best_trial_costs_what_is_new():
    study = Study(SPACE, trials=30, sampler="random")
    log, read = study.writer.log, []

    def counted(start=0):
        events = list(type(log).read(log, start))
        read.append(len(events))
        return iter(events)

    study._records._read = counted
    while (job := study.ask()) is not None:
        study.tell(job, job.config["x"])
        assert study.best == study.result.best
    assert sum(read) == study._records._fold.history.length <= study.history.length


def test_a_job_in_this_thread_hears_of_ctrl_c_before_it_reports():
    """It asks; the loop that heard of it waits for the job."""
    heard = []

    def objective(trial):
        if not heard:
            signal.raise_signal(signal.SIGINT)
            heard.append(trial.told_to_stop())
            raise rung.Stopped
        trial.report(1, loss=trial.config["x"])

    study = Study(SPACE, resource=("epoch", 1, 1), sampler="random", trials=3)
    assert study.run(objective).reason == "interrupted"
    assert heard == [True]
    assert len(study.run(objective).trials) == 3
