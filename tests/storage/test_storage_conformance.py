"""What every storage promises; parametrised over all of them by `conftest.storage`."""

import gc
import math
from pathlib import Path

import pytest

from rung.errors import LeaseError, StorageError, StudyError
from rung.storage.base import Summary
from rung.trials import events as ev


def test_a_new_study_is_read_back(storage, new, samples):
    log = new()
    assert list(storage.read("mine")) == [samples.created] == list(log.read())
    (row,) = storage.list()
    assert (row.name, row.key, row.summary, row.events) == ("mine", log.key, samples.summary, 1)


@pytest.mark.parametrize("sizes", [[1] * 20, [7, 0, 64, 1, 3], [1023, 1, 1, 1500], [5000, 4096, 8192]])
def test_appended_events_come_back_in_order_from_any_start(storage, new, samples, sizes):
    log, expected = new(), [samples.created]
    for size in sizes:
        batch = samples.reports(len(expected), len(expected) + size)
        log.append(batch, samples.summary)
        expected += batch
    assert list(log.read()) == expected
    for start in (0, 1, len(expected) // 2, len(expected) - 1, len(expected), len(expected) + 5):
        assert list(storage.read("mine", start)) == expected[start:]
    assert storage.find("mine").events == len(expected)


def test_a_reader_that_is_under_way_sees_what_is_added(storage, new, samples):
    log = new()
    log.append(samples.reports(1, 6000), samples.summary)
    reader = storage.read("mine")
    first = [next(reader) for _ in range(10)]
    log.append(samples.reports(6000, 9000), samples.summary)
    rest = list(reader)
    assert [event.trial for event in (first + rest)[1:]] == list(range(1, 9000))


def test_floats_come_back_bit_for_bit(storage, new, samples):
    values = [0.1, -0.0, 5e-324, math.inf, -math.inf, 1.7976931348623157e308, 2**53 + 1, -(2**63)]
    log = new()
    log.append([ev.Reported(0, 1, {"loss": value, "nan": math.nan}) for value in values], samples.summary)
    read = [event.metrics for event in storage.read("mine", 1)]
    assert [repr(metrics["loss"]) for metrics in read] == [repr(value) for value in values]
    assert all(math.isnan(metrics["nan"]) for metrics in read)


def test_later_changes_of_a_mapping_do_not_reach_the_log(storage, new, samples):
    metrics = {"loss": 1.0}
    new().append([ev.Reported(0, 1, metrics)], samples.summary)
    metrics["loss"] = 2.0
    assert next(storage.read("mine", 1)).metrics == {"loss": 1.0}


def test_a_batch_that_cannot_be_encoded_leaves_nothing(storage, new, samples):
    log = new()
    with pytest.raises(TypeError):
        log.append([*samples.reports(1, 3), ev.Recorded("x", {"a": object()})], samples.summary)
    log.append(samples.reports(1, 2), samples.summary)
    assert [event.trial for event in storage.read("mine", 1)] == [1]


def test_the_summary_is_that_of_the_last_append(storage, new, samples):
    log = new()
    summary = Summary("fit", "running", 7, 5, "auc", 0.93, 400, 12.5, 1.0, 99.0)
    log.append([], summary)
    assert storage.find("mine").summary == summary
    log.append(samples.reports(1, 2), Summary(best=math.inf))
    assert storage.find("mine").summary == Summary(best=math.inf)


# -- names --------------------------------------------------------------------------------------------------


def test_studies_are_listed_newest_first(storage, new):
    for name in ("b", "c", "a"):
        new(name)
    storage.rename("c", "z")
    assert [row.name for row in storage.list()] == ["a", "z", "b"]


def test_a_name_that_is_taken_is_refused(storage, new):
    log = new("mine")
    new("other")
    with pytest.raises(StudyError, match=r"there is a study 'mine' in .* already"):
        new("mine")
    with pytest.raises(StudyError, match=r"there is a study 'mine' in .* already"):
        storage.rename("other", "mine")
    assert storage.find("mine").key == log.key


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, "-x", ".", ".."])
def test_a_name_that_cannot_be_used_is_refused(storage, new, name):
    with pytest.raises(StudyError, match="cannot name a study"):
        new(name)
    new("mine")
    with pytest.raises(StudyError, match="cannot name a study"):
        storage.rename("mine", name)
    assert [row.name for row in storage.list()] == ["mine"]


@pytest.mark.parametrize("name", ["\udcff", "a\0b", "a\nb"], ids=["half a character", "null", "two lines"])
def test_a_name_that_no_study_can_bear_is_missing(storage, new, name):
    new("mine")
    assert storage.find(name) is None
    for action in (storage.open, storage.read, storage.delete):
        with pytest.raises(StudyError, match="there is no study"):
            action(name)


MISSING = {
    "open": lambda storage: storage.open("mnie"),
    "read": lambda storage: storage.read("mnie"),
    "folder": lambda storage: storage.folder("mnie"),
    "request": lambda storage: storage.request("mnie", "stop", {}),
    "rename": lambda storage: storage.rename("mnie", "other"),
    "delete": lambda storage: storage.delete("mnie"),
}


@pytest.mark.parametrize("action", MISSING.values(), ids=MISSING)
def test_a_missing_study_is_named_with_the_closest(storage, new, action):
    with pytest.raises(StudyError, match=r"no study 'mnie' in .*: it has no studies"):
        action(storage)
    for number in range(7):
        new(f"quite-different-{number}")
    with pytest.raises(StudyError, match=r"no study 'mnie' in .*: it has 'quite-different-6', .* and 2 more"):
        action(storage)
    new("mine")
    with pytest.raises(StudyError, match=r"no study 'mnie' in .*: did you mean 'mine'?"):
        action(storage)
    assert storage.find("mnie") is None


def test_a_rename_keeps_key_log_files_and_writer(storage, new, samples):
    log = new("old")
    (log.folder / "note").write_text("here")
    storage.rename("old", "new")
    log.append(samples.reports(1, 3), samples.summary)
    assert storage.find("old") is None
    assert storage.find("new").key == log.key
    assert (storage.folder("new") / "note").read_text() == "here"
    assert len(list(storage.read("new"))) == 3
    storage.rename("new", "new")


def test_a_deleted_study_is_gone_with_its_files(storage, new, samples):
    log = new()
    other = new("other")
    other.append(samples.reports(1, 9), samples.summary)
    (log.folder / "trial-000001").mkdir()
    folder = log.folder
    log.close()
    storage.request("mine", "stop", {})
    storage.delete("mine")
    assert not folder.exists()
    assert [row.name for row in storage.list()] == ["other"]
    assert len(list(storage.read("other"))) == 9
    again = new("mine")
    assert again.key != log.key
    assert again.requests() == []
    assert list(again.read()) == [samples.created]


def test_each_study_has_a_folder_of_its_own(storage, new):
    one, other = new("one"), new("other")
    assert one.folder != other.folder
    assert one.folder.is_dir()
    assert storage.folder("one") == one.folder


def test_a_reader_makes_no_folder(storage, new):
    new()
    assert not storage.folder("mine").exists()


# -- one writer ---------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_until_the_first_closes(storage, new, samples):
    log = new()
    with pytest.raises(LeaseError, match=r"'mine'.*close it"):
        storage.open("mine")
    with pytest.raises(LeaseError, match=r"'mine'.*close it"):
        storage.delete("mine")
    assert "process" in storage.find("mine").writer
    log.append(samples.reports(1, 2), samples.summary)
    log.close()
    log.close()
    assert storage.find("mine").writer is None
    second = storage.open("mine")
    second.append(samples.reports(2, 3), samples.summary)
    assert [event.trial for event in storage.read("mine", 1)] == [1, 2]
    assert second.key == log.key


def test_two_studies_have_two_writers(storage, new, samples):
    one, other = new("one"), new("other")
    for number in range(5):
        one.append(samples.reports(number, number + 1), samples.summary)
        other.append(samples.reports(10 + number, 11 + number), samples.summary)
    assert [event.trial for event in storage.read("one", 1)] == [0, 1, 2, 3, 4]
    assert [event.trial for event in storage.read("other", 1)] == [10, 11, 12, 13, 14]


def test_a_closed_log_writes_nothing(storage, new, samples):
    log = new()
    log.close()
    for action in (lambda: log.append(samples.reports(1, 2), samples.summary), log.heartbeat, log.requests):
        with pytest.raises(StorageError, match="the log of study 'mine' is closed"):
            action()
    assert len(list(storage.read("mine"))) == 1


def test_a_log_that_is_dropped_frees_its_study(storage, new):
    log = new()
    del log
    gc.collect()
    assert storage.find("mine").writer is None
    storage.open("mine").close()


def test_closing_the_storage_closes_its_logs(storage, new):
    log = new()
    storage.close()
    with pytest.raises(StorageError, match="closed"):
        log.heartbeat()


def test_a_heartbeat_keeps_the_log_open(storage, new, samples):
    log = new()
    before = len(list(log.read()))
    log.heartbeat()
    assert storage.find("mine").writer is not None
    log.append(samples.reports(1, 2), samples.summary)
    assert list(log.read())[before:] == samples.reports(1, 2)


# -- requests -----------------------------------------------------------------------------------------------


def test_requests_reach_the_writer_once_and_in_order(storage, new):
    log = new()
    assert log.requests() == []
    storage.request("mine", "enqueue", {"lr": 0.1, "kind": None, "id": 5})
    storage.request("mine", "stop", {})
    first = log.requests()
    assert [(request.request, request.data) for request in first] == [
        ("enqueue", {"lr": 0.1, "kind": None, "id": 5}),
        ("stop", {}),
    ]
    assert log.requests() == []
    storage.request("mine", "note", {"text": "ü"})
    assert [request.request for request in log.requests()] == ["note"]


def test_requests_belong_to_one_study(storage, new):
    one, other = new("one"), new("other")
    storage.request("one", "stop", {})
    assert other.requests() == []
    assert len(one.requests()) == 1


def test_a_request_that_was_not_folded_is_handed_to_the_next_writer(storage, new, samples):
    log = new()
    for text in "abc":
        storage.request("mine", "note", {"text": text})
    _, second, _ = log.requests()
    log.append([*samples.reports(1, 3), second.folded(7.0)], samples.summary)
    log.close()
    again = storage.open("mine")
    assert [request.data["text"] for request in again.requests()] == ["a", "c"]
    events = list(storage.read("mine", 3))
    assert events == [ev.Requested("note", {"text": "b"}, 7.0, second.id)]


def test_an_event_that_the_writer_asked_for_itself_folds_no_request(storage, new, samples):
    log = new()
    storage.request("mine", "enqueue", {"x": 1})
    log.append([ev.Requested("enqueue", {"x": 1}, 3.0)], samples.summary)
    assert len(log.requests()) == 1


def test_requests_wait_for_a_writer(storage, new):
    new().close()
    storage.request("mine", "pause", {})
    assert [request.request for request in storage.open("mine").requests()] == ["pause"]


def test_a_request_takes_plain_values_only(storage, new):
    new()
    with pytest.raises(StorageError, match="a request takes text, numbers"):
        storage.request("mine", "note", {"what": object()})


def test_the_url_leads_back(storage, new):
    from rung.storage import open_storage

    new().close()
    if storage.url == "memory":
        assert open_storage(storage.url).list() == []
    else:
        again = open_storage(storage.url)
        assert [row.name for row in again.list()] == ["mine"]
        again.close()


def test_files_go_with_a_storage_in_memory(samples):
    from rung.storage.memory import MemoryStorage

    storage = MemoryStorage()
    folder = storage.create("mine", [samples.created], samples.summary).folder
    assert folder.is_dir()
    storage.close()
    assert not folder.exists()
    dropped = MemoryStorage()
    folder = dropped.create("mine", [samples.created], samples.summary).folder
    del dropped
    gc.collect()
    assert not folder.exists()
    assert isinstance(folder, Path)
