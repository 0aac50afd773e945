"""`rung serve` as a process: it answers, and ends well at SIGTERM."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from rung.tabular.model_file import save_model
from support.tables import fitted


@pytest.fixture
def model(folder: Path) -> Path:
    return save_model(fitted("regression", "linear")[0], folder / "model.rung")


def test_it_answers_until_sigterm(model: Path) -> None:
    command = [sys.executable, "-m", "rung", "serve", str(model), "--port", "0", "--token", "secret"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"predicts y on (http://127\.0\.0\.1:\d+);", line)
            assert found, line
            row = {"a": 1.0, "b": "red", "noise": 0.0, "note": "some words", "day": None}
            headers = {"Authorization": "Bearer secret"}
            with httpx.Client(base_url=found[1], trust_env=False, timeout=60) as client:
                assert client.get("/health").json()["status"] == "ok"
                assert client.post("/predict", json={"rows": [row]}).status_code == 401
                answer = client.post("/predict", json={"rows": [row] * 3}, headers=headers)
            assert [list(one) for one in answer.json()["predictions"]] == [["prediction"]] * 3
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
            assert process.wait() == 0, rest
            assert "Traceback" not in rest
        finally:
            process.kill()


def test_what_it_refuses(model: Path, rung: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    done = rung("serve", str(model), "--host", "0.0.0.0")
    assert done.exit_code == 2
    assert "0.0.0.0 can be reached from other machines, so it needs a token" in done.stderr
    done = rung("serve", "none.rung")
    assert done.exit_code == 2
    assert "there is no file none.rung" in done.stderr
    from rung.deploy import extras

    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    done = rung("serve", str(model))
    assert done.exit_code == 2
    assert "rung serve needs fastapi and uvicorn" in done.stderr
    assert "pip install 'rung[serve]'" in done.stderr
