"""Runs a script in a peer's environment: a JSON object in, a JSON object out.

The environments lie in `.peers/NAME`; the variable RUNG_PEERS names another folder of such environments.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.peers import PEERS

_ROOT: Final = Path(__file__).resolve().parents[2]
_SCRIPTS: Final = Path(__file__).with_name("scripts")
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Missing(NamedTuple):
    """Why a peer gave no answer."""

    reason: str


def home() -> Path:
    """The folder of the environments."""
    return Path(os.environ.get("RUNG_PEERS") or _ROOT / ".peers")


def python_of(peer: str) -> Path | None:
    """The Python of a peer's environment, None if there is none."""
    path = home() / PEERS[peer].name / "bin" / "python"
    return path if path.exists() else None


def call(peer: str, script: str, payload: dict[str, Any], seconds: float = 600.0) -> dict[str, Any] | Missing:
    """What `scripts/<peer>_<script>.py` answers to `payload`.

    Returns:
        Its answer; `Missing` if the peer has no environment, the script failed, or took too long.
    """
    python = python_of(peer)
    if python is None:
        return Missing(f"{peer} is not installed: make peers PEERS={peer}")
    file = _SCRIPTS / f"{peer.replace('-', '_')}_{script}.py"
    try:
        done = subprocess.run(
            [str(python), "-W", "ignore", str(file)],
            input=json.dumps(payload),
            capture_output=True,
            text=True,
            timeout=seconds,
            env=os.environ | dict.fromkeys(_THREADS, "1") | {"PYTHONHASHSEED": "0"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Missing(f"{peer} took more than {seconds:g} s")
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return Missing(f"{peer} failed: {lines[-1][:200]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
