"""`examples/curl.sh`: ask and tell without Python, against a live service."""

import os
import subprocess
from pathlib import Path

from rung.trials import events as ev
from support.live_service import live

SCRIPT = Path(__file__).parents[2] / "examples" / "curl.sh"


def test_a_study_is_run_by_curl(tmp_path):
    with live(tmp_path / "rung.db") as service:
        environment = {**os.environ, "RUNG_SERVICE": service.url, "RUNG_TOKEN": service.tokens["ann"]}
        ran = subprocess.run(["sh", str(SCRIPT), "by-curl"], env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        log = list(service.hub.storage.read("by-curl"))
    lines = ran.stdout.splitlines()
    finished = [event for event in log if isinstance(event, ev.JobFinished)]
    assert len(finished) == len(lines) - 1 >= 12
    assert not [event for event in log if isinstance(event, ev.JobFailed)]
    reports = [(event.trial, event.resource) for event in log if isinstance(event, ev.Reported)]
    assert len(reports) == len(set(reports))
    assert lines[-1].startswith('best: {"trial":')
    assert '"resource":9' in lines[-1]
    assert service.tokens["ann"] not in ran.stdout + ran.stderr
