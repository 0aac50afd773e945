"""Where a study's checkpoints lie: said once, kept in the log, and cleaned up wherever they lay."""

from pathlib import Path

import fsspec
import pytest

import rung
from rung.errors import StorageError, StudyError, UserError
from rung.executors.remote import RemoteCheckpoints
from rung.study.checkpoint_places import clear, place_of, places_of, resolved, wanted
from rung.study.checkpoints import Keeper
from rung.trials import events as ev

SPACE = {"x": rung.Float(0.0, 1.0)}
SETTINGS = {"resource": ("epoch", 1, 3), "sampler": "random", "scheduler": "asha", "study": "s"}


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    yield
    fsspec.filesystem("memory").store.clear()


def train(trial):
    done = int(Path(trial.checkpoint, "state").read_text()) if trial.checkpoint else 0
    assert done == trial.start
    for epoch in range(done, trial.resource):
        text = str(epoch + 1)
        save = lambda folder, text=text: Path(folder, "state").write_text(text)  # noqa: E731
        trial.report(epoch + 1, loss=trial.config["x"], save=save)


def test_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert place_of("study", "key") is None
    assert place_of("shared", "key") == str(tmp_path / "shared" / "key")
    assert place_of("~/shared", "key") == "/home/me/shared/key"
    assert place_of("file:///mnt/shared", "key") == "/mnt/shared/key"
    assert place_of("memory://bucket/prefix/", "key") == "memory://bucket/prefix/key"
    with pytest.raises(StudyError, match="must be a folder or a URL"):
        place_of(" ", "key")
    assert resolved(tmp_path, "trial-000000/resource-1") == str(tmp_path / "trial-000000/resource-1")
    assert resolved(tmp_path, "/mnt/x") == "/mnt/x"
    assert resolved(tmp_path, "s3://b/x") == "s3://b/x"


def test_a_study_that_moves_twice_knows_where_everything_lies(tmp_path):
    url, shared = str(tmp_path / "s.db"), tmp_path / "shared"
    for trials, place in ((3, None), (6, shared), (9, "memory://bucket"), (12, None)):
        with rung.Study(SPACE, storage=url, trials=trials, **SETTINGS) as study:
            result = study.run(train, checkpoints=place)
            assert all(trial.state != "failed" for trial in result.trials)
            last = wanted(study.history)
            own = list(study.folder.glob("trial-*/*"))
            there = list(shared.glob("*/trial-*/*"))
            remote = RemoteCheckpoints(last.place).paths() if last.place and "://" in last.place else []
            assert [*map(str, own), *map(str, there), *remote] == [result.best.checkpoint]
            events = list(study.events())
    assert last.place == f"memory://bucket/{study.writer.log.key}"  # the last session was told no other
    assert sum(isinstance(event, ev.Recorded) and event.topic == "checkpoints" for event in events) == 2
    places = places_of(events)
    assert list(places) == [str(shared / study.writer.log.key), last.place]
    (shared / study.writer.log.key / "trial-000099" / "resource-1").mkdir(parents=True)
    for place in places:
        clear(place)
    assert list(shared.iterdir()) == RemoteCheckpoints(last.place).paths() == []
    with rung.Study(SPACE, storage=url, trials=12, **SETTINGS) as study:
        study.keep_checkpoints("study", 10**6)
        assert wanted(study.history) == (None, 10**6)
        study.keep_checkpoints(limit=0)
        assert wanted(study.history) == (None, None)


def test_what_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    with rung.Study(SPACE, trials=3, **SETTINGS) as study:
        with pytest.raises(StorageError, match=r"checkpoints cannot be written to .*file"):
            study.keep_checkpoints(tmp_path / "file")
        with pytest.raises(StudyError, match="holds a password"):
            study.keep_checkpoints("sftp://me:secret@host/x")
        with pytest.raises(UserError, match="checkpoint_limit"):
            study.keep_checkpoints(limit=-1)
        assert "secret" not in repr(list(study.events()))
        study.keep_checkpoints("memory://bucket")
        with pytest.raises(StudyError, match=r"in the memory of one process, and jobs run in others"):
            study.run(train, workers=2)


def test_a_store_that_does_not_delete_is_asked_again(monkeypatch):
    asked = []

    def delete(self, path):
        asked.append(path)
        raise StorageError("it does not answer")

    with rung.Study(SPACE, trials=3, **SETTINGS) as study:
        study.keep_checkpoints("memory://bucket")
        keeper = Keeper(study.writer)
        keeper._doomed = [f"{wanted(study.history).place}/trial-000000/resource-1-ab"]
        with monkeypatch.context() as patch:
            patch.setattr(RemoteCheckpoints, "delete", delete)
            keeper.close()
        assert asked == keeper._doomed
        assert keeper._not_before > 0
        keeper.close()
        assert keeper._doomed == []
