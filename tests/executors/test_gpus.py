"""Which GPUs are shared out."""

import pytest

import rung
from rung.executors.gpus import visible_gpus


@pytest.mark.parametrize(
    ("listed", "expected"),
    [("0,1", ("0", "1")), ("GPU-8f2, 3", ("GPU-8f2", "3")), ("", ()), ("-1", ()), ("0,-1,1", ("0",))],
)
def test_the_variable_rules(listed, expected, tmp_path):
    (tmp_path / "nvidia7").touch()
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": listed}, tmp_path) == expected


def test_without_it_the_systems_devices(tmp_path):
    for name in ("nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert visible_gpus({}, tmp_path) == ("2", "10")


def test_each_worker_sees_its_own(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")

    def train(trial):
        import os
        import time

        time.sleep(0.2)  # so that both workers get a job
        return {"loss": 1.0, "gpu": float(os.environ["CUDA_VISIBLE_DEVICES"])}

    result = rung.tune(train, {"x": rung.Float(0.0, 1.0)}, trials=4, workers=2, sampler="random")
    assert {trial.observations[0].metrics["gpu"] for trial in result.trials} == {4.0, 7.0}
