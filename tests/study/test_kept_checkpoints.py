"""Which checkpoints stay on the disk: those that a job can still start from, and the incumbent's."""

from pathlib import Path

import pytest

import rung
from rung.storage import open_storage

SPACE = {"x": rung.Float(0.0, 1.0)}
SETTINGS = {"resource": ("epoch", 1, 9), "eta": 3, "sampler": "random", "scheduler": "asha", "study": "s"}


def train(trial):
    for epoch in range(trial.start, trial.resource):
        save = lambda folder, epoch=epoch: Path(folder, "epoch").write_text(str(epoch + 1))  # noqa: E731
        trial.report(epoch + 1, loss=trial.config["x"] + 1 / (epoch + 1), save=save)


def on_disk(study):
    return {str(path.relative_to(study.folder)) for path in study.folder.glob("trial-*/*")}


@pytest.mark.parametrize("scheduler", ["asha", "sha", "hyperband", "async-hyperband"])
def test_while_it_runs_all_that_can_be_needed_is_there_and_little_else(tmp_path, scheduler):
    settings = {**SETTINGS, "scheduler": scheduler, "storage": str(tmp_path / "s.db")}
    most = []

    def watch(study, events):
        history = study.history
        there = on_disk(study)
        for trial, checkpoint in history.checkpoints.items():
            if history.states[trial] == "paused" and study.writer.scheduler.may_resume(history, trial):
                assert checkpoint.path in there
        if history.best_checkpoint is not None:
            assert history.best_checkpoint.path in there
        most.append(len(there))

    study = rung.Study(SPACE, trials=60, **settings)
    result = study.run(train, watch=watch)
    assert max(most) <= 60 + 32
    assert {str(study.folder / path) for path in on_disk(study)} == {result.best.checkpoint}
    study.close()


def test_what_a_dead_session_left_behind_goes(tmp_path):
    settings = {**SETTINGS, "storage": str(tmp_path / "s.db")}
    study = rung.Study(SPACE, trials=9, **settings)
    study.run(train)
    kept = on_disk(study)
    for orphan in ("trial-000003/resource-1", "trial-000500/resource-1"):
        (study.folder / orphan).mkdir(parents=True)
    study.close()
    again = rung.Study(SPACE, trials=10, **settings)
    again.run(train)
    assert len(on_disk(again)) == len(kept) == 1
    again.close()


def test_a_path_that_the_caller_told_stays(tmp_path):
    storage = open_storage(str(tmp_path / "s.db"))
    study = rung.Study(SPACE, trials=3, **{**SETTINGS, "storage": storage})
    job = study.ask()
    mine = study.folder / f"trial-{job.number:06d}" / "mine"
    mine.mkdir(parents=True)
    study.tell(job, 0.0, checkpoint=str(mine))
    study.set_limits(rung.study.limits.make_limits(trials=1))
    study.run(train)
    assert mine.is_dir()
    study.close()
    storage.close()


def test_of_an_incumbent_that_breaks_a_constraint_further_up_the_good_checkpoint_stays(tmp_path):
    def growing(trial):
        for epoch in range(trial.start, trial.resource):
            save = lambda folder, epoch=epoch: Path(folder, "epoch").write_text(str(epoch + 1))  # noqa: E731
            trial.report(epoch + 1, loss=trial.config["x"] + 1 / (epoch + 1), size=epoch, save=save)

    settings = {**SETTINGS, "storage": str(tmp_path / "s.db"), "resource": ("epoch", 1, 27)}
    settings["constraints"] = "size <= 7"
    with rung.Study(SPACE, trials=27, **settings) as study:
        result = study.run(growing)
    best = result.best
    assert best.value == pytest.approx(best.config["x"] + 1 / 8)
    # it was saved where its job ended, below what it reported last
    assert int(Path(best.checkpoint, "epoch").read_text()) == 3
    with rung.Study(SPACE, trials=28, **settings) as again:  # a new session tidies, and spares it
        assert Path(again.run(growing).best.checkpoint, "epoch").exists()
