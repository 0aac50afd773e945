"""The searches beside each other: their rows, their page, a short form on made-up pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.nas import __main__ as command
from benchmarks.nas import pictures, remedies, rows
from benchmarks.nas.report import PAGE, claims, page

from rung.nas.data.pictures import Pictures
from rung.nas.data.reading import read_pictures
from rung.nas.genotype import Genotype
from rung.nas.operations import OPERATIONS

torch.set_num_threads(1)


def a_row(what: str, seed: int, error: float, macs: float = 1e12, gap: float | None = None) -> rows.Row:
    return {
        "what": what,
        "seed": seed,
        "error": error,
        "multiply_adds": macs,
        "gap_outputs": gap,
        "parameters": 100,
        "seconds": 1.0,
    }


def test_the_page_is_what_its_rows_say() -> None:
    kept = [rows.read(rows.path_of(name)) for name in command.EXPERIMENTS]
    assert page(*kept) == PAGE.read_text()


def test_rows_are_kept_and_the_last_of_a_key_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    for error in (0.5, 0.4):
        rows.append(path, a_row("asap", 0, error))
    assert [row["error"] for row in rows.read(path)] == [0.4]


def test_claims_have_the_verdict_of_their_test() -> None:
    made = [a_row("asap", s, 0.3, 0.2e12, 1e-5) for s in range(5)]
    made += [a_row("darts1", s, 0.4, 1e12, 0.5) for s in range(5)]
    made += [a_row("darts", s, 0.4, 3e12, 0.5) for s in range(5)]
    made += [a_row("random-cell", s, 0.4 + (-1) ** s * 0.01) for s in range(5)]
    found = {claim.claimed.split("(")[0].strip(): claim for claim in claims(made, [])}
    assert found["ASAP's search costs a fraction of DARTS'"].verdict == "holds"
    assert found["ASAP has no relaxation gap"].verdict == "holds"
    assert found["DARTS beats random cells"].verdict.startswith("unclear")
    asap = found["ASAP's cell is as good as DARTS'"]
    assert asap.verdict == "holds"  # five of five: p 0.0625
    assert "-0.1" in asap.measured


@pytest.mark.parametrize("seed", range(4))
def test_random_cells_are_of_their_spaces(seed: int) -> None:
    cell = Genotype.from_dict(pictures.random_cell(seed)).check(OPERATIONS)
    assert all(len(edges) == 2 and edges[0][1] != edges[1][1] for _, c in cell.cells for edges in c.nodes)
    assert len(Genotype.from_dict(pictures.random_cell(seed, "recurrent"))["recurrent"].nodes) == 8
    assert pictures.random_cell(seed) != pictures.random_cell(seed + 1)


def _noise(scale: pictures.Scale) -> Pictures:
    """Pictures of noise, of two classes, in place of CIFAR-10."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 255, (64, 8, 8, 3), dtype=np.uint8), np.arange(64) % 2
    return read_pictures((x, y, x[:16], y[:16]))


def test_a_search_and_its_training_make_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "cifar", _noise)
    scale = pictures.QUICK._replace(train=64, test=16, batch=16, epochs=1)
    row = pictures.searched("darts1", 0, scale)
    assert row["passes"] == 2 * 2  # two batches of 16 in half of the pictures, for weights and for alphas
    assert 0.0 <= row["error"] <= 1.0
    assert row["gap_outputs"] > 0
    Genotype.from_dict(row["genotype"]).check(OPERATIONS)


def test_a_cure_is_measured_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remedies, "cifar", _noise)
    scale = remedies.QUICK._replace(train=64, test=16, batch=16, epochs=1)
    row = remedies.cured("max_skips=2", 0, scale)
    cell = row["genotype"]["normal"]
    assert row["skips"] == sum(operation == "skip_connect" for operation, _ in cell) <= 2
    assert row["skips_by_epoch"] == [row["skips"]]
    told = remedies.cured_table([{**row, "seed": 1, "skips": 1}, row])
    assert f"| `max_skips=2` | {row['skips']}, 1 | 1, 1 |" in told


def test_what_has_a_row_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def jobs(name: str, seeds: list[int], quick: bool) -> Any:
        for seed in seeds:
            yield "a", seed, lambda seed=seed: asked.append(("a", seed)) or a_row("a", seed, 0.5)

    monkeypatch.setattr(command, "path_of", lambda name: tmp_path / f"{name}.jsonl")
    monkeypatch.setattr(command, "_jobs", jobs)
    assert command.main(["run", "cifar", "--seeds", "0,1"]) == 0
    assert command.main(["run", "cifar", "--seeds", "0,1,2"]) == 0
    assert asked == [("a", 0), ("a", 1), ("a", 2)]
    assert command.main(["run", "cifar", "--seeds", "1", "--again"]) == 0
    assert asked[3:] == [("a", 1)]


def test_a_cell_that_is_not_in_the_comparison_any_more_is_left_out() -> None:
    cells = {seed: pictures.random_cell(seed) for seed in (0, 1)}
    compared = [a_row("asap", seed, 0.5) | {"genotype": cells[seed]} for seed in (0, 1)]
    elsewhere = [a_row("asap on digits", seed, 0.1) | {"genotype": cells[0]} for seed in (0, 1, 2)]
    assert pictures.current(elsewhere, compared) == elsewhere[:1]


def test_an_unknown_experiment_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["run", "cifer"])
    assert ended.value.code == 2
