"""The benchmark of a search's steps: contenders take turns, ratios and targets stand on the page."""

from __future__ import annotations

import json

import pytest
import torch
from benchmarks.supernet import measuring, reference, steps
from benchmarks.supernet.__main__ import main
from benchmarks.supernet.measuring import Case, rows_of
from benchmarks.supernet.report import PAGE, page
from benchmarks.supernet.rows import Row, read, write
from benchmarks.supernet.steps import DARTS_V2, WHAT, Size, made

from rung.nas.genotype import Genotype

TINY = Size(4, 3, 2)
PUBLISHED = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), "
    "('max_pool_3x3', 1)], "
    "reduce_concat=[2, 3, 4, 5])"
)


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.delenv(reference.VARIABLE, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _row(what: str, contender: str, least: float, peak: float | None = None, **given: object) -> Row:
    plain = {"size": "C16 L8 B8", "threads": 2, "repeats": 3, "load": 0.0, "cores": 2, "torch": "2"}
    return Row(
        **plain
        | {"what": what, "contender": contender, "least": least, "peak": peak}
        | {"median": 9.0}
        | given
    )


def test_the_cell_that_is_retrained_is_the_published_one():
    assert Genotype.from_text(PUBLISHED) == DARTS_V2


@pytest.mark.parametrize("what", WHAT)
def test_every_step_of_both_forms_changes_what_it_should(what, monkeypatch):
    stepped = []
    for kind in (torch.optim.SGD, torch.optim.Adam):
        monkeypatch.setattr(kind, "step", lambda self, *_, kind=kind: stepped.append(kind))
    for contender in ("plain", "fused"):
        step = made(contender, what, TINY)
        step()
    wanted = torch.optim.SGD if what in {"weight step", "retraining step"} else torch.optim.Adam
    assert stepped == [wanted, wanted]


def test_contenders_take_turns(monkeypatch):
    calls = []
    monkeypatch.setattr(measuring, "made", lambda name, *_: lambda: calls.append(name))
    (plain, fused) = rows_of([Case("weight step", TINY, threads=1, seconds=0.0)])
    assert calls == ["plain", "fused"] * 3  # once to warm up
    assert (plain.contender, fused.contender, fused.repeats, fused.peak) == ("plain", "fused", 2, None)


def test_where_a_contender_has_no_such_step_its_own_way_stands_beside(monkeypatch):
    asked = []

    def fake(name, what, size):
        asked.append((name, what))
        return None if (name, what) == ("plain", "second-order step, exact") else lambda: None

    monkeypatch.setattr(measuring, "made", fake)
    rows = list(rows_of([Case("second-order step, exact", TINY, threads=1, seconds=0.0)]))
    assert [row.contender for row in rows] == ["plain", "fused"]
    assert asked[-1] == ("plain", "second-order step")


def test_rows_take_the_place_of_those_of_the_same_step(tmp_path):
    path = tmp_path / "rows.jsonl"
    write([_row("weight step", "plain", 2.0), _row("weight step", "fused", 1.0)], path)
    write([_row("weight step", "fused", 0.5)], path)
    assert {(row.contender, row.least) for row in read(path)} == {("plain", 2.0), ("fused", 0.5)}
    assert all(json.loads(line)["what"] == "weight step" for line in path.read_text().splitlines())


def test_the_page_has_ratios_and_targets():
    rows = [
        _row("weight step", "plain", 2.0, 1000.0),
        _row("weight step", "fused", 0.5, 600.0),
        _row("retraining step", "plain", 1.0),
        _row("retraining step", "fused", 0.7, load=5.0),
    ]
    text = page(rows)
    assert "| **0.25** | 0.5 | 1000 to 600 MB | 0.60 | 0.7 |" in text
    assert "| **0.70** | 0.7 |" in text
    assert "before 1 of 4 rows" in text
    assert page(rows[::-1]) == text
    assert "Nothing has been measured yet." in page([])


def test_the_command_writes_the_page(tmp_path, capsys):
    write([_row("weight step", "plain", 2.0), _row("weight step", "fused", 1.0)], tmp_path / "rows.jsonl")
    words = ["report", "--rows", str(tmp_path / "rows.jsonl"), "--out", str(tmp_path / "page.md")]
    assert main(words) == 0
    assert "**0.50**" in (tmp_path / "page.md").read_text()
    assert capsys.readouterr().out.strip() == str(tmp_path / "page.md")


def test_the_page_in_the_repository_is_made_of_the_rows_in_it():
    assert PAGE.read_text(encoding="utf-8") == page(read())


def test_sizes_say_what_they_are():
    assert str(steps.Size(16, 8, 8)) == "C16 L8 B8"
