"""Random use of a storage, compared with a dictionary."""

import itertools
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from rung.errors import LeaseError, StudyError
from rung.storage import open_storage
from rung.storage.base import Summary
from rung.trials import events as ev
from support.postgres import Server

NAMES = st.sampled_from(["a", "b", "c", "ä b"])
NUMBERS = st.floats(allow_nan=False) | st.integers(-(2**63), 2**64 - 1)
EVENTS = st.lists(
    st.builds(ev.Reported, st.integers(0, 9), st.integers(1, 9), st.dictionaries(st.text(), NUMBERS))
    | st.builds(ev.JobFailed, st.integers(0, 9), st.sampled_from(ev.Failure), st.text())
    | st.builds(ev.StopDecided, st.text()),
    max_size=5,
)
SUMMARIES = st.builds(Summary, trials=st.integers(0, 2**40), best=st.none() | st.floats(allow_nan=False))


class Model:
    """A study as a plain value."""

    def __init__(self):
        self.events, self.summary, self.log, self.key = [], Summary(), None, None
        self.open, self.handed = [], []  # requests not yet folded; those that this log handed out


class StorageMachine(RuleBasedStateMachine):
    def make(self):
        raise NotImplementedError

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.storage = self.make()
        self.model: dict[str, Model] = {}

    def teardown(self):
        self.storage.close()
        shutil.rmtree(self.folder)

    @rule(name=NAMES, first=EVENTS, summary=SUMMARIES)
    def create(self, name, first, summary):
        if name in self.model:
            with pytest.raises(StudyError):
                self.storage.create(name, first, summary)
            return
        study = self.model[name] = Model()
        study.log = self.storage.create(name, first, summary)
        study.events, study.summary, study.key = list(first), summary, study.log.key

    @rule(name=NAMES)
    def open(self, name):
        study = self.model.get(name)
        if study is None or study.log is not None:
            with pytest.raises(StudyError if study is None else LeaseError):
                self.storage.open(name)
            return
        study.log, study.handed = self.storage.open(name), []

    @rule(name=NAMES, events=EVENTS, summary=SUMMARIES, fold=st.booleans())
    def append(self, name, events, summary, fold):
        study = self.model.get(name)
        if study is None or study.log is None:
            return
        batch = list(events)
        if fold and study.handed:
            request = study.handed.pop(0)
            study.open.remove((request.request, request.data))
            batch.append(request.folded(1.0))
        study.log.append(batch, summary)
        study.events += batch
        study.summary = summary

    @rule(name=NAMES, text=st.text(max_size=3))
    def request(self, name, text):
        if name not in self.model:
            with pytest.raises(StudyError):
                self.storage.request(name, "note", {"text": text})
            return
        self.storage.request(name, "note", {"text": text})
        self.model[name].open.append(("note", {"text": text}))

    @rule(name=NAMES)
    def take_requests(self, name):
        study = self.model.get(name)
        if study is None or study.log is None:
            return
        study.handed += study.log.requests()
        assert [(request.request, request.data) for request in study.handed] == study.open

    @rule(name=NAMES, new=NAMES)
    def rename(self, name, new):
        if name not in self.model or (new in self.model and new != name):
            with pytest.raises(StudyError):
                self.storage.rename(name, new)
            return
        self.storage.rename(name, new)
        self.model = {new if key == name else key: study for key, study in self.model.items()}

    @rule(name=NAMES)
    def close(self, name):
        study = self.model.get(name)
        if study is not None and study.log is not None:
            study.log.close()
            study.log = None

    @rule(name=NAMES)
    def delete(self, name):
        study = self.model.get(name)
        if study is None or study.log is not None:
            with pytest.raises(StudyError if study is None else LeaseError):
                self.storage.delete(name)
            return
        self.storage.delete(name)
        del self.model[name]

    @rule(name=NAMES, start=st.integers(0, 9))
    def read(self, name, start):
        if name in self.model:
            assert list(self.storage.read(name, start)) == self.model[name].events[start:]

    @invariant()
    def lists_agree(self):
        rows = [
            (row.name, row.key, row.summary, row.events, row.writer is None) for row in self.storage.list()
        ]
        assert rows == [
            (name, study.key, study.summary, len(study.events), study.log is None)
            for name, study in reversed(self.model.items())
        ]


class MemoryMachine(StorageMachine):
    def make(self):
        return open_storage("memory")


class SqliteMachine(StorageMachine):
    def make(self):
        return open_storage(self.folder / "rung.db")

    @rule()
    def open_the_file_again(self):
        for study in self.model.values():
            study.log = None
        self.storage.close()
        self.storage = self.make()


class PostgresMachine(StorageMachine):
    """In a namespace of its own each time."""

    server: Server
    numbers = itertools.count()

    def make(self):
        return open_storage(f"{self.server.url()}?schema=machine_{next(self.numbers)}&files={self.folder}")


def test_postgres_machine(postgres_server):
    PostgresMachine.server = postgres_server
    few = settings(
        max_examples=6,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(PostgresMachine, settings=few)


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSqliteMachine = SqliteMachine.TestCase
TestSqliteMachine.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
