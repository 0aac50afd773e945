"""The protocol by which peers are asked, with this Python as a peer's; the reasons where one is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import benchmarks.peers.__main__ as making
import pytest
from benchmarks.conformance.rule import Asked
from benchmarks.conformance.rules import RULES
from benchmarks.peers import PEERS, Peer, about
from benchmarks.peers import call as asking
from benchmarks.peers.call import Missing, call, python_of
from benchmarks.samplers.entries import ENTRIES
from benchmarks.systems import systems

SCRIPT = """
from answer import answer
print("noise that a peer prints")


def double(number):
    print("more noise")
    return {"twice": 2 * number}


def hang():
    import time

    time.sleep(60)


answer({"double": double, "fail": lambda: 1 / 0, "hang": hang})
"""


@pytest.fixture
def peer(tmp_path, monkeypatch):
    """A peer named dehb whose Python is this one, with one script."""
    (tmp_path / "dehb" / "bin").mkdir(parents=True)
    (tmp_path / "dehb" / "bin" / "python").symlink_to(sys.executable)
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "answer.py").write_text((asking._SCRIPTS / "answer.py").read_text())
    (scripts / "dehb_numbers.py").write_text(SCRIPT)
    monkeypatch.setenv("RUNG_PEERS", str(tmp_path))
    monkeypatch.setattr(asking, "_SCRIPTS", scripts)
    return "dehb"


def test_a_peer_answers_in_json_whatever_it_prints(peer):
    assert call(peer, "numbers", {"rule": "double", "number": 21}) == {"twice": 42}


def test_a_failure_is_a_reason(peer):
    found = call(peer, "numbers", {"rule": "fail"})
    assert found == Missing("dehb failed: ZeroDivisionError: division by zero")


def test_a_peer_that_hangs_is_given_up(peer):
    assert call(peer, "numbers", {"rule": "hang"}, seconds=1.0) == Missing("dehb took more than 1 s")


def test_a_peer_that_is_not_there_is_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_PEERS", str(tmp_path))
    assert python_of("smac") is None
    assert call("smac", "rules", {}) == Missing("smac is not installed: make peers PEERS=smac")


def test_who_is_asked_has_a_script():
    asked = {(peer.peer, "rules") for rule in RULES for peer in rule.peers if isinstance(peer, Asked)}
    asked |= {(beside.peer, "suggest") for entry in ENTRIES for beside in entry.beside}
    assert len(asked) > len(PEERS)
    for name, what in asked:
        assert (asking._SCRIPTS / f"{name.replace('-', '_')}_{what}.py").exists()


def test_a_peer_is_what_its_script_says(tmp_path):
    script = tmp_path / "my_tuner_tune.py"
    said = '{"requirements": ["tuner<2"], "note": "a note", "systems": {"mine": {"note": "n", "model": "m"}}}'
    script.write_text(f"import what_is_not_here\n\nABOUT = {said}\nraise SystemExit(1)\n")
    assert about(script) == Peer("my-tuner", ("tuner<2",), "a note", {"mine": {"note": "n", "model": "m"}})
    script.write_text("serve(Tuner)\n")
    with pytest.raises(ValueError, match="has no ABOUT"):
        about(script)


def test_all_peers_are_there_with_bounded_versions_and_systems():
    tuners = {"ax", "dehb", "hpbandster", "neps", "optuna", "smac", "syne-tune"}
    assert set(PEERS) == tuners | {"autogluon", "flaml"}
    for peer in PEERS.values():
        assert any(mark in peer.requirements[0] for mark in ("==", "<"))
        for name in peer.systems:
            assert systems()[name].note


def test_one_that_cannot_be_installed_is_reported(tmp_path, monkeypatch, capsys):
    def fails(command, **_):
        raise subprocess.CalledProcessError(1, command, stderr="notice: x\nERROR: no such version\nmore")

    monkeypatch.setenv("RUNG_PEERS", str(tmp_path))
    monkeypatch.setattr(making.venv, "create", lambda folder, **_: Path(folder).mkdir())
    monkeypatch.setattr(making.subprocess, "run", fails)
    monkeypatch.setattr(sys, "argv", ["peers", "dehb"])
    assert making.main() == 1
    said = capsys.readouterr()
    assert said.out.split(maxsplit=1)[1] == "CANNOT BE INSTALLED: ERROR: no such version\n"
    assert said.err == "1 of 1 are not there: dehb\n"


def test_what_is_installed_is_not_installed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_PEERS", str(tmp_path))
    monkeypatch.setattr(making.venv, "create", lambda folder, **_: Path(folder).mkdir(exist_ok=True))
    monkeypatch.setattr(making.subprocess, "run", lambda *_, **__: None)
    peer = Peer("dehb", ("dehb==0.1.2",), "a note")
    assert making.make(peer).startswith("installed in ")
    assert making.make(peer) == "is there already"
    assert making.make(peer._replace(requirements=("dehb==0.1.3",))).startswith("installed in ")
