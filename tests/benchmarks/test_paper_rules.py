"""Rung keeps every rule of the papers that it says it keeps, and docs/conformance.md says what runs give."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.conformance import record
from benchmarks.conformance.page import NAMES, page
from benchmarks.conformance.rule import Asked, Cannot
from benchmarks.conformance.rules import RULES
from benchmarks.peers import PEERS
from benchmarks.peers.call import Missing

from rung.samplers import SAMPLERS
from rung.schedulers import SCHEDULERS

ROOT = Path(__file__).parents[2]
NEEDS_TORCH = {"gp: posterior", "gp: log expected improvement"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_rung_keeps_the_rule_and_the_record_says_so(rule):
    if rule.key in NEEDS_TORCH:
        pytest.importorskip("torch")
    found = record.ours(rule)
    assert found.agrees is not bool(rule.departs), found.text
    assert record.read()[rule.key, record.OURS] == found, "run python -m benchmarks.conformance"


def test_the_page_is_made_of_the_record():
    text = (ROOT / "docs" / "conformance.md").read_text()
    assert text == page(RULES, record.read()), "run python -m benchmarks.conformance"


def test_every_sampler_and_scheduler_has_a_rule():
    assert {rule.method for rule in RULES} == {*SAMPLERS, *SCHEDULERS, "study"}
    assert len({rule.key for rule in RULES}) == len(RULES)


def test_peers_are_known_and_each_has_an_outcome_or_a_reason():
    records = record.read()
    for rule in RULES:
        for peer in rule.peers:
            assert peer.peer in PEERS
            assert peer.peer in NAMES
            found = records[rule.key, peer.peer]
            if isinstance(peer, Cannot):
                assert found == record.Found(rule.key, peer.peer, peer.reason, None)
            else:
                assert isinstance(peer, Asked)
                assert found.agrees is not None, found.text


def test_a_peer_that_is_not_there_keeps_what_was_found_of_it(monkeypatch):
    monkeypatch.setattr(record, "call", lambda *_, **__: Missing("optuna is not installed"))
    rule = next(rule for rule in RULES if rule.key == "tpe: gamma")
    known = record.Found(rule.key, "optuna", "earlier", True)
    assert list(record.theirs(rule, {(rule.key, "optuna"): known})) == [known]
    assert list(record.theirs(rule, {})) == [
        record.Found(rule.key, "optuna", "optuna is not installed", None)
    ]
