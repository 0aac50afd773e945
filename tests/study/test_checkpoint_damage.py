"""A damaged checkpoint is an event: the trial goes back to the one before, or starts anew."""

import os
import shutil
from pathlib import Path

import pytest

import rung
from rung.executors.checkpoint_files import MANIFEST
from rung.trials import events as ev
from rung.trials.history import History

SPACE = {"x": rung.Float(0.0, 1.0)}
SETTINGS = {"resource": ("epoch", 1, 9), "eta": 3, "sampler": "random", "scheduler": "asha", "study": "s"}


def train(trial):
    """Trains by adding up; the checkpoint holds the sum, bit for bit."""
    total, first = 0.0, 0
    if trial.checkpoint:
        at, text = Path(trial.checkpoint, "state").read_text().split()
        first, total = int(at), float.fromhex(text)
    assert first == trial.start
    for epoch in range(first, trial.resource):
        total += (trial.config["x"] - 0.3) ** 2 / (epoch + 1)
        text = f"{epoch + 1} {total.hex()}"
        trial.report(
            epoch + 1, loss=total, save=lambda folder, text=text: Path(folder, "state").write_text(text)
        )


def flip(folder):
    data = bytearray(Path(folder, "state").read_bytes())
    data[-1] ^= 1
    Path(folder, "state").write_bytes(data)


def cut(folder):
    os.truncate(Path(folder, "state"), 3)


def lose_a_file(folder):
    Path(folder, "state").unlink()


def lose_the_manifest(folder):
    Path(folder, MANIFEST).unlink()


def lose_all(folder):
    shutil.rmtree(folder)


def run(tmp_path, name, harm=None, **more):
    """The log and the result of a study in which each trial's first checkpoint is harmed."""
    harmed = set()

    def watch(study, events):
        for event in events:
            if harm and isinstance(event, ev.JobFinished) and event.trial not in harmed:
                harmed.add(event.trial)
                harm(study.folder / study.history.checkpoints[event.trial].path)

    settings = {**SETTINGS, "storage": str(tmp_path / f"{name}.db"), **more}
    with rung.Study(SPACE, trials=6, **settings) as study:
        result = study.run(train, watch=watch)
        return list(study.events()), result, study.history


@pytest.mark.parametrize("harm", [flip, cut, lose_a_file, lose_the_manifest, lose_all])
def test_one_that_is_damaged_is_made_again(tmp_path, harm):
    _, clean, _ = run(tmp_path, "clean")
    events, result, history = run(tmp_path, "harmed", harm)
    damaged = [event for event in events if isinstance(event, ev.CheckpointDamaged)]
    promoted = {e.trial for e in events if isinstance(e, ev.JobStarted) and e.until > 1}
    assert {event.trial for event in damaged} == promoted
    assert all("checkpoint" in event.message and "trial-" in event.message for event in damaged)
    ended = [e for e in events if isinstance(e, ev.JobFailed)]
    assert {(e.trial, e.failure) for e in ended} == {(t, ev.Failure.INTERRUPTED) for t in promoted}
    values = [[(o.resource, o.metrics["loss"]) for o in trial.observations] for trial in result.trials]
    assert values == [[(o.resource, o.metrics["loss"]) for o in trial.observations] for trial in clean.trials]
    assert (result.best.number, result.best.value) == (clean.best.number, clean.best.value)
    assert history.spent == clean.history.spent + len(promoted)  # one epoch each is trained again
    again = History(None, None).fold_all(events)
    assert (again.spent, again.checkpoints) == (history.spent, history.checkpoints)


def test_it_counts_as_no_retry(tmp_path):
    events, result, _ = run(tmp_path, "s", flip, retries=0)
    assert not [trial for trial in result.trials if trial.state == "failed"]
    assert any(isinstance(event, ev.CheckpointDamaged) for event in events)


def test_while_its_job_runs_a_trial_goes_back_to_the_one_before(tmp_path, monkeypatch):
    """Paused between two checkpoints; the later one is cut off by the machine's fall."""
    starts = []

    def slow(trial):
        starts.append(trial.start)
        trial._save_every = 0.0
        train(trial)
        if len(starts) == 1:
            pytest.fail("it was paused before")

    def pause(study, events):
        if any(isinstance(event, ev.Reported) and event.resource == 5 for event in events):
            store = rung.storage.open_storage(study.storage.url)
            store.request("s", "pause", {})
            store.close()
            monkeypatch.setattr("rung.study.run._TICK", 0.0)

    settings = {**SETTINGS, "scheduler": "plain", "storage": str(tmp_path / "s.db")}
    with rung.Study(SPACE, trials=1, **settings) as study:
        study.run(slow, watch=pause)
        latest, previous = study.history.checkpoints[0], study.history.previous[0]
        assert latest.resource == previous.resource + 1
        cut(study.folder / latest.path)
    with rung.Study(SPACE, **settings) as study:
        result = study.run(slow)
    assert starts == [0, previous.resource]
    _, clean, _ = run(tmp_path, "clean", scheduler="plain")
    assert result.best.value == clean.trials[0].value


def test_a_member_of_a_population_whose_parents_is_damaged_begins_anew(tmp_path):
    def harm(study, events):
        for event in events:
            if (
                isinstance(event, ev.JobStarted)
                and event.checkpoint
                and study.history.origins[event.trial].parent is not None
            ):
                path = study.folder / event.checkpoint
                if path.exists():
                    flip(path)

    settings = {**SETTINGS, "scheduler": "pbt(population=4,quantile=0.25)", "storage": str(tmp_path / "s.db")}
    with rung.Study(SPACE, trials=7, **settings) as study:
        result = study.run(train, watch=harm)
        events = list(study.events())
    damaged = [event.trial for event in events if isinstance(event, ev.CheckpointDamaged)]
    assert damaged
    for trial in damaged:
        starts = [
            event.start for event in events if isinstance(event, ev.JobStarted) and event.trial == trial
        ]
        assert starts[1] == 0
        assert result.lineage(trial)[-1].start == 0
    assert all(trial.state in ("complete", "paused") for trial in result.trials)


def test_an_earlier_versions_checkpoints_go_on(tmp_path):
    """Without manifest, size and digest."""
    settings = {**SETTINGS, "storage": str(tmp_path / "s.db")}
    with rung.Study(SPACE, trials=3, **settings) as study:
        job = study.ask()
        folder = study.folder / "trial-000000" / "resource-1"
        folder.mkdir(parents=True)
        (folder / "state").write_text(f"1 {(0.5).hex()}")
        study.writer.commit([ev.CheckpointSaved(0, 1, "trial-000000/resource-1", job.attempt, 1.0)])
        study.tell(job, -1.0)  # the best: it will be promoted
    with rung.Study(SPACE, trials=3, **settings) as study:
        study.run(train)
        events = list(study.events())
    starts = [event.start for event in events if isinstance(event, ev.JobStarted) and event.trial == 0]
    assert starts == [0, 1]
    assert not any(isinstance(event, ev.CheckpointDamaged) for event in events)
