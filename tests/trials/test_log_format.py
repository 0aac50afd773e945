"""A log of format 1 stays readable for ever, value by value.

`fixtures/log_format_1.bin` was written once. What is expected here is written out, defaults included: a
default that changes must not change what an old log says.
"""

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from rung.errors import StorageError
from rung.trials import codec
from rung.trials import events as ev

FIXTURE = Path(__file__).parent / "fixtures" / "log_format_1.bin"
NAN, INF = float("nan"), float("inf")

EXPECTED = [
    (
        "StudyCreated",
        {
            "identity": {
                "space": {"lr": {"type": "float", "low": 1e-05, "high": 0.1, "log": True}},
                "metric": "loss",
                "mode": "max",
                "resource": {"name": "epoch", "minimum": 1, "maximum": 81},
                "eta": 3,
                "sampler": {
                    "name": "kde",
                    "settings": {"random_fraction": 0.3333333333333333, "candidates": 64},
                },
                "scheduler": {"name": "asha", "settings": {}},
                "seed": 2147483647,
                "door": "fit",
                "task": {"target": "class", "rows": 48842},
            },
            "version": "0.1.0",
            "time": 1700000000.125,
            "format": 1,
        },
    ),
    (
        "StudyCreated",
        {
            "identity": {
                "space": {},
                "metric": "loss",
                "mode": "min",
                "resource": None,
                "eta": 3,
                "sampler": {"name": "random", "settings": {}},
                "scheduler": {"name": "plain", "settings": {}},
                "seed": 0,
                "door": "tune",
                "task": {},
            },
            "version": "0.1.0",
            "time": 0.0,
            "format": 1,
        },
    ),
    (
        "LimitsChanged",
        {
            "limits": {
                "trials": 200,
                "seconds": 3600.5,
                "total_resource": 1000000,
                "target": 0.01,
                "retries": 5,
                "trial_seconds": 60.0,
                "trial_memory": 17179869184,
            },
            "time": 1.5,
        },
    ),
    (
        "LimitsChanged",
        {
            "limits": {
                "trials": None,
                "seconds": None,
                "total_resource": None,
                "target": None,
                "retries": 3,
                "trial_seconds": None,
                "trial_memory": None,
            },
            "time": 0.0,
        },
    ),
    (
        "SessionStarted",
        {
            "host": "host",
            "pid": 4242,
            "executor": "local",
            "workers": 4,
            "objective": "sha256:ab",
            "time": 2.5,
        },
    ),
    (
        "SessionStarted",
        {"host": "host", "pid": 4242, "executor": "inline", "workers": 1, "objective": None, "time": 0.0},
    ),
    (
        "JobStarted",
        {
            "trial": 0,
            "until": 81,
            "start": 0,
            "attempt": 0,
            "values": (0.1, -0.0, 5e-324, 3, "sgd", True, None, ()),
            "origin": {"sampler": "kde", "model": True, "fidelity": 9, "parent": 7},
            "bracket": 2,
            "gates": (1, 3, 9),
            "checkpoint": None,
            "time": 3.0,
        },
    ),
    (
        "JobStarted",
        {
            "trial": 12,
            "until": 9,
            "start": 3,
            "attempt": 2,
            "values": None,
            "origin": None,
            "bracket": 0,
            "gates": (),
            "checkpoint": "trial-000012/resource-3",
            "time": 0.0,
        },
    ),
    (
        "JobStarted",
        {
            "trial": 1,
            "until": 1,
            "start": 0,
            "attempt": 0,
            "values": (),
            "origin": {"sampler": "random", "model": False, "fidelity": None, "parent": None},
            "bracket": 0,
            "gates": (),
            "checkpoint": None,
            "time": 0.0,
        },
    ),
    (
        "Reported",
        {
            "trial": 0,
            "resource": 1,
            "metrics": {
                "loss": NAN,
                "up": INF,
                "down": -INF,
                "exact": 0.1,
                "none": None,
                "count": 1152921504606846976,
            },
            "attempt": 1,
            "time": 4.0,
        },
    ),
    (
        "Reported",
        {"trial": 0, "resource": 3, "metrics": {"loss": 1.7976931348623157e308}, "attempt": 0, "time": 0.0},
    ),
    (
        "CheckpointSaved",
        {"trial": 0, "resource": 3, "path": "trial-000000/resource-3", "attempt": 1, "time": 5.0},
    ),
    ("CheckpointDeleted", {"trial": 0, "time": 5.5}),
    ("JobFinished", {"trial": 0, "attempt": 1, "metrics": {"loss": -0.0}, "time": 6.0}),
    ("JobFinished", {"trial": 1, "attempt": 0, "metrics": None, "time": 0.0}),
    ("JobFailed", {"trial": 2, "failure": "error", "message": "ValueError: ü", "attempt": 0, "time": 7.0}),
    ("JobFailed", {"trial": 2, "failure": "infeasible", "message": "", "attempt": 0, "time": 0.0}),
    ("JobFailed", {"trial": 2, "failure": "timeout", "message": "", "attempt": 0, "time": 0.0}),
    ("JobFailed", {"trial": 2, "failure": "memory", "message": "", "attempt": 0, "time": 0.0}),
    ("JobFailed", {"trial": 2, "failure": "lost", "message": "", "attempt": 0, "time": 0.0}),
    ("JobFailed", {"trial": 2, "failure": "interrupted", "message": "", "attempt": 0, "time": 0.0}),
    ("JobStopped", {"trial": 3, "attempt": 1, "time": 8.0}),
    ("TrialStopped", {"trial": 3, "time": 9.0}),
    ("StopDecided", {"reason": "budget", "time": 10.0}),
    ("Requested", {"request": "enqueue", "data": {"lr": 0.1, "kind": "sgd"}, "time": 11.0, "id": 77}),
    ("Requested", {"request": "stop", "data": {}, "time": 0.0, "id": None}),
    (
        "Recorded",
        {
            "topic": "oof",
            "data": {"predictions": [0.25, 0.75], "nested": {"deep": [1, None, False]}, "raw": "x"},
            "trial": 3,
            "time": 12.0,
        },
    ),
    ("Recorded", {"topic": "note", "data": {}, "trial": None, "time": 0.0}),
    ("SessionEnded", {"reason": "done", "time": 13.0}),
]


CHANGES = FIXTURE.with_name("log_format_1_changes.bin")
EXPECTED_CHANGES = [
    (
        "StudyCreated",
        {
            "identity": {
                "space": {"lr": {"type": "float", "low": 1e-05, "high": 0.1, "log": True}},
                "metric": "loss",
                "mode": "min",
                "resource": {"name": "epoch", "minimum": 1, "maximum": 81},
                "eta": 3,
                "sampler": {"name": "transfer", "settings": {"base": "tpe", "settings": {}}},
                "scheduler": {"name": "mo-asha", "settings": {}},
                "seed": 7,
                "door": "tune",
                "task": {},
                "goals": [
                    {"metric": "loss", "mode": "min", "reference": 1.5},
                    {"metric": "accuracy", "mode": "max", "reference": None},
                ],
                "constraints": [
                    {"metric": "memory", "bound": 2e9, "sense": "<="},
                    {"metric": "speed", "bound": 0.5, "sense": ">="},
                ],
                "noisy": True,
                "confirm": 3,
                "deterministic": 8,
            },
            "version": "0.1.0",
            "time": 1800000000.5,
            "format": 1,
        },
    ),
    (
        "Told",
        {
            "trial": 4,
            "values": (0.5, "a", True, None, ()),
            "metrics": {"loss": 0.25, "note": "by hand"},
            "resource": 81,
            "time": 2.5,
        },
    ),
    ("Told", {"trial": 5, "values": (), "metrics": {}, "resource": 1, "time": 0.0}),
    (
        "SpaceChanged",
        {"space": {"version": 1, "parameters": [{"name": "x"}]}, "given": {"x": 0.5}, "time": 3.5},
    ),
    ("SpaceChanged", {"space": {}, "given": {}, "time": 0.0}),
]
CHECKPOINTS = FIXTURE.with_name("log_format_1_checkpoints.bin")
EXPECTED_CHECKPOINTS = [
    (
        "CheckpointSaved",
        {
            "trial": 0,
            "resource": 3,
            "path": "s3://bucket/key/trial-000000/resource-3-1f2e",
            "attempt": 1,
            "time": 5.0,
            "size": 8589934592,
            "digest": "ab" * 32,
        },
    ),
    ("CheckpointDeleted", {"trial": 0, "time": 5.5, "path": "trial-000000/resource-1", "why": "limit"}),
    (
        "CheckpointFailed",
        {"trial": 0, "resource": 9, "message": "the disk is full", "attempt": 1, "time": 6.0},
    ),
    ("CheckpointFailed", {"trial": 1, "resource": 1, "message": "", "attempt": 0, "time": 0.0}),
    (
        "CheckpointDamaged",
        {"trial": 0, "message": "weights has 3 bytes, not 4", "attempt": 2, "time": 7.0},
    ),
    ("CheckpointDamaged", {"trial": 1, "message": "", "attempt": 0, "time": 0.0}),
]
LATER = {"goals": (), "constraints": (), "noisy": False, "confirm": 0, "deterministic": 0}


def bodies(path=FIXTURE):
    data, start = path.read_bytes(), 0
    while start < len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4], "big")
        yield data[start + 4 : end]
        start = end


def differences(actual, expected, where):
    """Where `actual` is not what is expected; fields that a later version added are no difference."""
    if isinstance(actual, msgspec.Struct):
        for field, value in expected.items():
            yield from differences(getattr(actual, field), value, f"{where}.{field}")
    elif isinstance(actual, tuple) and actual and isinstance(actual[0], msgspec.Struct):
        yield from (line for pair in zip(actual, expected, strict=True) for line in differences(*pair, where))
    elif isinstance(actual, ev.Failure):
        yield from differences(actual.value, expected, where)
    elif repr(actual) != repr(expected):  # tells NaN from nothing, -0.0 from 0.0, tuples from lists
        yield f"{where}: {actual!r} instead of {expected!r}"


def test_every_event_of_format_1_reads_as_it_was_written():
    events = [codec.decode(body) for body in bodies()]
    assert [type(event).__name__ for event in events] == [kind for kind, _ in EXPECTED]
    for number, (event, (kind, fields)) in enumerate(zip(events, EXPECTED, strict=True)):
        assert list(differences(event, fields, f"{number} {kind}")) == []


@pytest.mark.parametrize(
    ("fixture", "expected"), [(CHANGES, EXPECTED_CHANGES), (CHECKPOINTS, EXPECTED_CHECKPOINTS)]
)
def test_what_came_to_format_1_later_reads_as_it_was_written(fixture, expected):
    events = [codec.decode(body) for body in bodies(fixture)]
    assert [type(event).__name__ for event in events] == [kind for kind, _ in expected]
    for number, (event, (kind, fields)) in enumerate(zip(events, expected, strict=True)):
        assert list(differences(event, fields, f"{number} {kind}")) == []


def test_a_study_of_before_has_none_of_what_came_later():
    for body in bodies():
        event = codec.decode(body)
        if isinstance(event, ev.StudyCreated):
            assert {name: getattr(event.identity, name) for name in LATER} == LATER


def test_every_event_is_in_a_fixture():
    """An event that is added needs a fixture of its own, beside this one, and its line above."""
    found = {type(codec.decode(body)) for path in FIXTURE.parent.glob("log_*.bin") for body in bodies(path)}
    assert found == set(get_args(ev.AnyEvent))


def test_a_difference_would_be_seen():
    event = codec.decode(next(bodies()))
    kind, fields = EXPECTED[0]
    changed = {**fields, "identity": {**fields["identity"], "eta": 4}}
    assert list(differences(event, changed, kind)) == ["StudyCreated.identity.eta: 3 instead of 4"]


def test_events_are_written_the_same_again():
    """What is read from an old log and written again loses nothing."""
    for body in bodies():
        event = codec.decode(body)
        assert repr(codec.decode(codec.encode(event))) == repr(event)


def test_many_events_are_one_behind_the_other():
    events = [codec.decode(body) for body in bodies()]
    for count in (0, 1, 15, 16, len(events), 70_000):
        many = (events * (count // len(events) + 1))[:count]
        data = codec.encode_all(many)
        assert data == b"".join(codec.encode(event) for event in many)
        assert repr(codec.decode_all(count, data)) == repr(many)


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x80", b"\x81\xa4kind\xa5Later", codec.encode(ev.JobStopped(1))[:-1]]
)
def test_bytes_that_are_no_event(data):
    for read in (lambda: codec.decode(data), lambda: codec.decode_all(1, data)):
        with pytest.raises(StorageError, match="an event that this version of rung cannot read"):
            read()
