"""Checkpoints in S3, as a server on loopback speaks it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import rung
from rung.errors import StorageError
from rung.executors.checkpoint_files import DamagedError
from rung.executors.files import opened_checkpoint, save_checkpoint
from rung.executors.remote import RemoteCheckpoints, probe
from rung.trials import events as ev

pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    import fsspec
    import s3fs

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-nobody")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket/some/prefix"
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))


def train(trial):
    done = int(Path(trial.checkpoint, "state").read_text()) if trial.checkpoint else 0
    assert done == trial.start
    for epoch in range(done, trial.resource):
        text = str(epoch + 1)
        trial.report(
            epoch + 1, loss=trial.config["x"], save=lambda f, text=text: Path(f, "state").write_text(text)
        )


def test_a_study_with_its_checkpoints_in_s3(bucket: str, tmp_path: Path) -> None:
    settings = {"resource": ("epoch", 1, 3), "sampler": "random", "scheduler": "asha", "study": "s"}
    space, storage = {"x": rung.Float(0.0, 1.0)}, str(tmp_path / "s.db")
    with rung.Study(space, storage=storage, trials=3, **settings) as study:
        result = study.run(train, checkpoints=bucket)
        place = f"{bucket}/{study.writer.log.key}"
    (tmp_path / "cache").rename(tmp_path / "of another machine")
    with rung.Study(space, storage=storage, trials=5, **settings) as study:  # it knows where they lie
        result = study.run(train)
        saved = [event for event in study.events() if isinstance(event, ev.CheckpointSaved)]
        assert "a-secret-of-nobody" not in repr(list(study.events()))
        assert RemoteCheckpoints(place).paths() == [result.best.checkpoint]  # the others went
        assert not list(study.folder.glob("trial-*"))
    assert len(saved) > 5  # some were promoted, and began where they had stood
    assert all(event.path.startswith(f"{place}/trial-") for event in saved)
    digest = next(event.digest for event in saved if event.path == result.best.checkpoint)
    with opened_checkpoint(result.best.checkpoint, digest) as folder:
        assert Path(folder, "state").read_text() == "3"


def test_what_is_wrong_is_said(bucket: str, tmp_path: Path) -> None:
    saved = save_checkpoint(bucket, 0, 1, lambda folder: Path(folder, "state").write_text("whole"))
    import fsspec

    files, path = fsspec.core.url_to_fs(saved.path)
    files.pipe_file(f"{path}/state", b"whale")
    (tmp_path / "cache").rename(tmp_path / "of another machine")
    with pytest.raises(DamagedError, match="state has changed"), opened_checkpoint(saved.path, saved.digest):
        pass
    with pytest.raises(StorageError, match="cannot be written to s3://Not_A_Bucket/x: "):
        probe("s3://Not_A_Bucket/x")
