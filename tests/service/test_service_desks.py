"""What many ask and tell of one study at once is made durable together, and answered only then."""

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung import Float
from rung.errors import LeaseError, StorageError
from rung.service.desks import Desks
from rung.service.hosting import HostedStudy, Told
from rung.storage import open_storage
from rung.study.limits import make_limits
from rung.study.opening import open_or_begin, open_stored
from rung.study.settings import Settings
from rung.trials import events as ev


class Flaky:
    """A log whose disk may be full, and that counts how often it is written."""

    def __init__(self, log):
        self._log = log
        self.broken = False
        self.writes = 0

    def __getattr__(self, name):
        return getattr(self._log, name)

    def append(self, events, summary):
        if self.broken:
            raise StorageError("the disk is full")
        self._log.append(events, summary)
        self.writes += 1


def begin(storage, trials=1000, sampler="random"):
    chosen = Settings(resource=("epoch", 1, 9), sampler=sampler, scheduler="asha")
    writer = open_or_begin({"x": Float(0.0, 1.0)}, chosen, storage, "s").writer
    writer.set_limits(make_limits(trials=trials), 0.0)
    writer.log = Flaky(writer.log)
    return HostedStudy(writer, 30.0, 0.0)


@pytest.fixture
def storage(tmp_path):
    made = open_storage(str(tmp_path / "rung.db"))
    yield made
    made.close()


@pytest.fixture
def run():
    """Runs coroutines, all in one event loop."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def desks():
    made = Desks(lambda: 1.0)
    yield made
    made.close()


def logged(storage, kind):
    return [(event.trial, event.attempt) for event in storage.read("s") if isinstance(event, kind)]


def test_many_share_a_commit_and_are_answered_after_it(storage, desks, run):
    study = begin(storage)
    before = study.writer.log.writes

    async def one(number):
        job = await desks.do(study, lambda: study.ask(f"w{number}", f"k{number}", 1.0))
        assert (job.trial, job.attempt) in logged(storage, ev.JobStarted)
        return job

    async def all_of_them():
        return await asyncio.gather(*(one(number) for number in range(40)))

    jobs = run(all_of_them())
    assert sorted(job.trial for job in jobs) == list(range(40))
    assert study.writer.log.writes - before < 20
    assert logged(storage, ev.JobStarted) == sorted((job.trial, job.attempt) for job in jobs)


def test_what_cannot_be_written_did_not_happen(storage, desks, run):
    study = begin(storage)

    async def ask(key):
        return await desks.do(study, lambda: study.ask("w", key, 1.0))

    async def both():
        return await asyncio.gather(ask("a"), ask("b"), ask("c"), return_exceptions=True)

    first = run(ask("a"))
    study.writer.log.broken = True
    found = run(both())
    assert [type(each) for each in found if each != first] == [StorageError] * len(found)
    assert logged(storage, ev.JobStarted) == [(first.trial, first.attempt)]
    study.writer.log.broken = False
    found = run(both())
    assert found[0] == first  # by its key
    assert sorted(job.trial for job in found) == [0, 1, 2]
    assert logged(storage, ev.JobStarted) == [(job.trial, job.attempt) for job in found]
    assert sorted(study.leases.running) == [0, 1, 2]


def test_one_request_that_is_refused_is_its_own_matter(storage, desks, run):
    study = begin(storage)
    job = study.ask("w", "", 1.0)

    async def tell(attempt):
        told = Told("finished", {"loss": 0.5})
        return await desks.do(study, lambda: study.tell(job.trial, attempt, told, 1.0))

    async def mistaken():
        return await desks.do(study, lambda: 1 // 0)

    async def all_of_them():
        return await asyncio.gather(tell(0), mistaken(), tell(0), return_exceptions=True)

    first, mistake, again = run(all_of_them())
    assert (first, again) == (False, True)
    assert isinstance(mistake, ZeroDivisionError)
    study.tick(100.0)
    lost = study.ask("w", "", 101.0)
    study.tick(200.0)

    async def late():
        with pytest.raises(LeaseError):
            await desks.do(study, lambda: study.renew(lost.trial, lost.attempt, 201.0))

    run(late())


def test_slow_decisions_do_not_wait_for_each_other(storage, desks, run):
    """Each is answered when it is done, and not with the last of those that came at the same time."""
    study = begin(storage)
    answered = []

    async def slow(number):
        await desks.do(study, lambda: (time.sleep(0.02), study.ask("w", f"{number}", 1.0)))
        answered.append(study.writer.log.writes)

    async def gone():
        task = asyncio.create_task(slow(-1))
        await asyncio.sleep(0)
        task.cancel()  # its client went away: nobody minds

    async def all_of_them():
        await asyncio.gather(gone(), *(slow(number) for number in range(4)))

    run(all_of_them())
    assert len(set(answered)) == len(answered) == 4


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=20))
def test_the_log_is_what_was_answered_whenever_the_disk_fails(rounds):
    storage = open_storage("memory")
    study = begin(storage)
    given_out, told = {}, set()
    for number, (size, broken) in enumerate(rounds):
        now = 1.0 + number
        study.writer.log.broken = broken
        asked, ended = [], []
        try:
            with study.together(now):
                asked += [study.ask("w", f"{number}-{place}", now) for place in range(size)]
                for trial, job in list(given_out.items())[:2]:
                    study.tell(trial, job.attempt, Told("finished", {"loss": job.config["x"]}), now)
                    ended.append(job)
        except StorageError:
            assert broken
            continue
        given_out.update((job.trial, job) for job in asked)
        for job in ended:
            told.add((job.trial, job.attempt))
            if given_out[job.trial].attempt == job.attempt:
                del given_out[job.trial]
        assert set(logged(storage, ev.JobFinished)) == told
        assert len(logged(storage, ev.JobFinished)) == len(told)
        assert set(study.leases.running) == set(given_out)
    study.writer.log.broken = False
    study.close()
    if rounds:
        history = open_stored(storage, "s").writer.history  # derives every decision again
        assert set(history.running) == set(given_out)
