from __future__ import annotations

import math
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.errors import StorageError
from rung.space.values import INACTIVE
from rung.trials import events as ev
from rung.trials.codec import decode, decode_all, encode, encode_all
from support.driver import identity

EVERY = [
    ev.StudyCreated(identity(1, 81), "0.1.0", 12.5),
    ev.LimitsChanged(ev.Limits(trials=10, seconds=0.1, target=-0.5)),
    ev.SessionStarted("host", 17, "local", 4, "abc", 1e9),
    ev.SessionEnded("done", 2e9),
    ev.JobStarted(
        3, 9, 1, 2, (1, 0.1, "a", True, None, INACTIVE), ev.Origin("kde", True, 9, 2), 1, (3,), "x"
    ),
    ev.Reported(3, 9, {"loss": 0.1, "note": "ok", "count": 3}),
    ev.CheckpointSaved(3, 9, "trial-000003/9"),
    ev.CheckpointDeleted(3),
    ev.JobFinished(3, 2, {"loss": math.inf}),
    ev.JobFailed(3, ev.Failure.LOST, "gone", 1),
    ev.JobStopped(3, 1),
    ev.TrialStopped(3),
    ev.StopDecided("budget"),
    ev.Told(4, (0.5, "a", INACTIVE), {"loss": 0.25}, 9),
    ev.SpaceChanged({"x": {"type": "float", "low": 0, "high": 1}}, {"x": 0.5}),
    ev.Requested("enqueue", {"lr": 0.1}),
    ev.Recorded("alphas", {"rows": [[0.1, 0.2]], "raw": "x"}, 3),
    ev.CheckpointFailed(3, 9, "the disk is full", 1, 2.0),
    ev.CheckpointDamaged(3, "the file weights has changed", 1, 2.0),
]


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def test_no_kind_of_event_is_missing_here():
    assert {type(event) for event in EVERY} == set(ev.AnyEvent.__args__)


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_every_event_comes_back(event):
    assert decode(encode(event)) == event


@given(st.floats(), st.floats())
def test_floats_come_back_bit_for_bit(loss, number):
    report = decode(encode(ev.Reported(0, 1, {"loss": loss})))
    assert bits(report.metrics["loss"]) == bits(loss)
    job = decode(encode(ev.JobStarted(0, 1, values=(number, 1, 1.0, True))))
    assert bits(job.values[0]) == bits(number)
    assert [type(value) for value in job.values] == [float, int, float, bool]


def test_what_is_not_active_comes_back_as_the_same_object():
    job = decode(encode(ev.JobStarted(0, 1, values=(INACTIVE, 2))))
    assert job.values[0] is INACTIVE


@given(st.lists(st.sampled_from(EVERY), max_size=40))
def test_many_events_at_once_are_the_events_one_by_one(events):
    data = encode_all(events)
    assert data == b"".join(encode(event) for event in events)
    assert decode_all(len(events), data) == events


@pytest.mark.parametrize("count", [15, 16, 65535, 65536])
def test_many_events_of_any_number(count):
    events = [ev.TrialStopped(1)] * count
    assert encode_all(events) == encode(events[0]) * count


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        encode(EVERY[4])[:-3],
        msgspec.msgpack.encode({"kind": "Teleported"}),
        b"\x93\x01\x02\x03",
    ],
)
def test_what_is_no_event_is_refused(data):
    with pytest.raises(StorageError, match="cannot read"):
        decode(data)


@pytest.mark.parametrize(("count", "spoil"), [(2, b""), (1, b""), (3, b"\x00")])
def test_a_wrong_number_of_events_is_refused(count, spoil):
    data = encode_all(EVERY[:3])[: -1 if count == 2 else None] + spoil
    with pytest.raises(StorageError, match="cannot read"):
        decode_all(count, data)


def test_a_later_field_is_ignored_and_a_missing_one_has_its_default():
    data = msgspec.msgpack.encode({"kind": "JobStopped", "trial": 4, "colour": "red"})
    assert decode(data) == ev.JobStopped(4)
