"""Recorded tables: recording, packing, opening, looking up on the grid and between, the problems of them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import benchmarks.data.tables as recorded_tables
import numpy as np
import pytest
from benchmarks.data.tables import Table, open_table, read, record, tables
from benchmarks.data.tables.recipes import Axis, Curves, Recipe
from benchmarks.problems import recorded
from benchmarks.problems.recorded import ENTRIES

import rung

AXES = {
    "rate": {"values": [0.01, 0.1, 1.0], "kind": "log"},
    "kind": {"values": ["a", "b"], "kind": "choice"},
    "share": {"values": [0.0, 1.0], "kind": "linear"},
}
STEPS = [1, 3, 9]


def table(losses: np.ndarray[Any, Any], repeats: np.ndarray[Any, Any] | None = None) -> Table:
    about = {"axes": AXES, "resource": "epoch", "steps": STEPS}
    first = np.stack([losses, losses + 100, np.ones_like(losses)]).astype(np.float32)
    return Table(about, first, np.empty((0, 2, 3), np.float32) if repeats is None else repeats)


def plain() -> np.ndarray[Any, Any]:
    """Each loss says where it stands: 12 configurations, 3 steps."""
    return np.arange(12)[:, None] * 10.0 + np.arange(3)


def at(rate: float, kind: str = "a", share: float = 0.0) -> dict[str, Any]:
    return {"share": share, "kind": kind, "rate": rate}


def test_grid_points_are_exact() -> None:
    found, losses = table(plain()), plain()
    for row, (rate, kind, share) in enumerate(
        (rate, kind, share) for rate in (0.01, 0.1, 1.0) for kind in "ab" for share in (0.0, 1.0)
    ):
        for step, resource in enumerate(STEPS):
            assert found.loss(at(rate, kind, share), resource) == losses[row, step]
        assert found.mean(at(rate, kind, share)) == losses[row, 2]
        assert found.test(at(rate, kind, share)) == losses[row, 2] + 100
    assert found.best == 2.0


def test_between_values_it_is_linear_in_the_axis_scale() -> None:
    found = table(plain())
    low, high = found.loss(at(0.01), 1), found.loss(at(0.1), 1)
    assert found.loss(at(math.sqrt(0.001)), 1) == pytest.approx((low + high) / 2)
    assert found.loss(at(0.01, share=0.25), 1) == pytest.approx(0.75 * 0 + 0.25 * 10)
    both = found.loss(at(10**-1.5, "b", 0.25), 3)
    corners = [found.loss(at(rate, "b", share), 3) for rate in (0.01, 0.1) for share in (0.0, 1.0)]
    assert both == pytest.approx(np.dot(corners, [0.375, 0.125, 0.375, 0.125]))


def test_beyond_the_ends_the_nearest_value_holds() -> None:
    found = table(plain())
    assert found.loss(at(1e-9, share=-1.0), 1) == found.loss(at(0.01), 1)
    assert found.loss(at(-3.0), 1) == found.loss(at(0.01), 1)
    assert found.loss(at(50.0, share=7.0), 99) == found.loss(at(1.0, share=1.0), 9)
    assert found.loss(at(0.01), 0) == found.loss(at(0.01), 1)


def test_choices_are_exact() -> None:
    with pytest.raises(ValueError, match="kind='c' was not recorded"):
        table(plain()).loss(at(0.1, "c"), 1)


def test_between_steps_it_is_linear() -> None:
    assert table(plain()).loss(at(0.01), 6) == pytest.approx(1.5)
    assert table(plain()).loss(at(0.01), 2) == pytest.approx(0.5)


def test_failed_corners() -> None:
    losses = plain()
    losses[0, 1:] = np.nan  # the configuration at(0.01) diverges after the first step
    found = table(losses)
    assert found.loss(at(0.01), 1) == 0.0
    assert found.loss(at(0.01), 3) == math.inf
    assert found.loss(at(0.01), 2) == math.inf
    worst = 111.0  # the worst finite loss at step 3
    assert found.loss(at(math.sqrt(0.001)), 3) == pytest.approx((worst + 41.0) / 2)
    assert found.best == 12.0
    losses[4, 1:] = np.nan
    assert table(losses).loss(at(math.sqrt(0.001)), 3) == math.inf


def test_seconds_add_up() -> None:
    losses = plain()
    seconds = np.full_like(losses, 2.0)
    seconds[0, 1:] = np.nan
    found = Table(
        {"axes": AXES, "resource": "epoch", "steps": STEPS},
        np.stack([losses, losses, seconds]).astype(np.float32),
        np.empty((0, 2, 3), np.float32),
    )
    fine = at(1.0)
    assert found.seconds(fine, 0, 9) == pytest.approx(6.0)
    assert found.seconds(fine, 0, 6) + found.seconds(fine, 6, 9) == pytest.approx(6.0)
    assert found.seconds(fine, 3, 6) == pytest.approx(1.0)
    assert found.seconds(at(0.01), 0, 9) == pytest.approx(2.0)
    assert found.seconds(at(0.01), 1, 9) > 0.0
    assert found.seconds(at(math.sqrt(0.001)), 0, 9) == pytest.approx(4.0)


def test_seeds_of_a_tenth() -> None:
    losses = plain()
    repeats = np.stack([losses[::10] + 1.0, losses[::10] + 5.0]).astype(np.float32)
    found = table(losses, repeats)
    assert [found.loss(at(0.01), 1, seed) for seed in range(4)] == [0.0, 1.0, 5.0, 0.0]
    assert found.mean(at(0.01), 1) == pytest.approx(2.0)
    assert {found.loss(at(0.1), 1, seed) for seed in range(4)} == {40.0}
    eleventh = at(1.0, "b", 0.0)
    assert [found.loss(eleventh, 9, seed) for seed in range(3)] == [102.0, 103.0, 107.0]


def test_noise_is_that_of_the_good_repeats() -> None:
    rng = np.random.default_rng(0)
    axes = {"x": {"values": list(range(16000)), "kind": "choice"}}
    about = {"axes": axes, "resource": "epoch", "steps": [1, 2]}
    base = np.arange(16000.0)[:, None]
    sizes = np.where(base < 4000, 1.0, 50.0) * [0.3, 0.1]  # (configurations, steps)
    first = np.stack([base + sizes * rng.normal(size=sizes.shape)] * 3).astype(np.float32)
    repeats = (base[::10] + sizes[::10] * rng.normal(size=(2, 1600, 2))).astype(np.float32)
    np.testing.assert_allclose(Table(about, first, repeats).noise, [0.3, 0.1], rtol=0.15)
    repeats[1, 100:] = np.nan  # from there on they fail with the third seed
    assert np.isfinite(Table(about, first, repeats).noise).all()
    assert (table(plain()).noise == 0).all()


class Fake:
    """A recipe of 25 configurations whose training is counted and may be stopped."""

    def __init__(self) -> None:
        self.trained: list[tuple[int, int]] = []
        self.stop_at: int | None = None

    def recipe(self, name: str) -> Recipe:
        axes = {"x": Axis((1, 2, 3, 4, 5), "whole"), "y": Axis((0.0, 0.5, 1.0, 1.5, 2.0), "linear")}
        return Recipe(axes, "epoch", (1, 2), self.train, 10, f"nothing, as {name}")

    def train(self, configs: Sequence[Mapping[str, Any]], seed: int) -> Curves:
        if self.stop_at is not None and len(self.trained) == self.stop_at:
            raise KeyboardInterrupt
        self.trained.append((len(configs), seed))
        ends = np.array([[10.0 * one["x"] + one["y"]] for one in configs]) + 100 * seed
        losses = ends + np.array([0.25, 0.0])
        losses[np.array([one["x"] == 3 for one in configs]), 1] = math.inf
        return Curves(losses, -losses, np.full_like(losses, 0.5))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setattr(record, "recipe", made.recipe)
    monkeypatch.setattr(record, "PARTS", tmp_path / "parts")
    monkeypatch.setattr(record, "HERE", tmp_path)
    return made


def test_a_stopped_recording_goes_on(fake: Fake, tmp_path: Path) -> None:
    fake.stop_at = 2
    with pytest.raises(KeyboardInterrupt):
        record.record("fake")
    assert not (tmp_path / "fake.npz").exists()
    (tmp_path / "parts" / "fake" / "0-00020-5.half.npz").write_bytes(b"half a write")
    fake.stop_at = None
    record.record("fake")
    assert fake.trained == [(10, 0), (10, 0), (5, 0), (3, 1), (3, 2)]
    record.record("fake")
    assert len(fake.trained) == 5


def test_parts_of_another_recipe_are_not_mixed_in(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    record.record("fake")
    monkeypatch.setattr(record, "recipe", lambda name: fake.recipe(name)._replace(steps=(1, 3)))
    with pytest.raises(ValueError, match="delete that folder"):
        record.record("fake")


def test_what_was_recorded_is_what_is_opened(fake: Fake) -> None:
    found = read(record.record("fake"))
    assert (found.resource, found.steps) == ("epoch", (1, 2))
    assert found.axes == fake.recipe("fake").axes
    assert found.about["what"] == "nothing, as fake"
    for x in (1, 2, 4, 5):
        for y in (0.0, 0.5, 1.0, 1.5, 2.0):
            assert found.loss({"x": x, "y": y}, 1) == 10 * x + y + 0.25
            assert found.test({"x": x, "y": y}) == -(10 * x + y)
    assert found.loss({"x": 3, "y": 0.0}, 1) == 30.25
    assert found.loss({"x": 3, "y": 0.0}, 2) == math.inf
    assert [found.loss({"x": 1, "y": 0.0}, 2, seed) for seed in range(3)] == [10.0, 110.0, 210.0]
    assert [found.loss({"x": 1, "y": 0.5}, 2, seed) for seed in range(3)] == [10.5] * 3
    assert found.best == 10.5
    assert found.seconds({"x": 1, "y": 0.0}, 0, 2) == pytest.approx(1.0)


def test_problems_of_a_table(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(record.record("fake"))
    monkeypatch.setattr(recorded, "open_table", lambda name: found)
    grid, smooth = recorded.recorded("fake"), recorded.smooth("fake")
    assert all(isinstance(one, rung.Ordinal) for one in grid.space.values())
    assert grid.resource == smooth.resource == ("epoch", 1, 2)
    assert grid.optimum == smooth.optimum == 10.5
    config = {"x": 1, "y": 0.5}
    assert grid.value(config, 2, 7) == grid.true(config) == smooth.true(config) == 10.5
    assert isinstance(smooth.space["y"], rung.Float)
    assert smooth.true({"x": 1, "y": 0.75}) == pytest.approx(10.75)
    drawn = [smooth.value(config, 2, seed) - 10.5 for seed in range(300)]
    assert np.std(drawn) == pytest.approx(found.noise[1], rel=0.15)
    assert smooth.value(config, 2, 5) == smooth.value(config, 2, 5)
    assert grid.seconds(config, 0, 2) == pytest.approx(1.0)


def test_listing_opens_nothing_and_opening_opens_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_tables, "HERE", tmp_path)
    (tmp_path / "broken.npz").write_bytes(b"no table")
    losses = plain().astype(np.float32)
    about = json.dumps({"axes": AXES, "resource": "epoch", "steps": STEPS}).encode()
    np.savez(
        tmp_path / "good.npz",
        about=np.frombuffer(about, np.uint8),
        first=np.stack([losses] * 3),
        repeats=np.empty((0, 2, 3), np.float32),
    )
    assert tables() == ["broken", "good"]
    opened: list[str] = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or whole(path))
    open_table.cache_clear()
    assert open_table("good") is open_table("good")
    open_table.cache_clear()
    assert opened == ["good.npz"]


def test_reading_agrees_with_numpy_and_refuses_what_is_compressed(tmp_path: Path) -> None:
    losses = plain().astype(np.float32)
    about = np.frombuffer(json.dumps({"axes": AXES, "resource": "epoch", "steps": STEPS}).encode(), np.uint8)
    arrays = {
        "about": about,
        "first": np.stack([losses, losses / 3, losses * 7]),
        "repeats": np.full((2, 2, 3), 5.5, np.float32),
    }
    np.savez(tmp_path / "plain.npz", **arrays)
    found = recorded_tables._arrays((tmp_path / "plain.npz").read_bytes())
    with np.load(tmp_path / "plain.npz") as theirs:
        assert found.keys() == set(theirs.files)
        for name in theirs.files:
            np.testing.assert_array_equal(found[name], theirs[name])
    np.savez_compressed(tmp_path / "small.npz", **arrays)
    with pytest.raises(ValueError, match="pack the table anew"):
        read(tmp_path / "small.npz")


def test_importing_problems_opens_no_table() -> None:
    code = (
        "import pathlib; pathlib.Path.read_bytes = None\n"
        "from benchmarks.problems import problems\n"
        "from benchmarks.data.tables import tables\n"
        "assert {f'{k} {n}' for k in ('recorded', 'smooth') for n in tables()} <= problems().keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", tables() or [None])
def test_shipped_tables_are_whole(name: str | None) -> None:
    if name is None:
        pytest.skip("no table is shipped")
    found = open_table(name)
    made = ENTRIES[f"recorded {name}"]()
    count = math.prod(len(axis.values) for axis in found.axes.values())
    middle = {key: axis.values[len(axis.values) // 2] for key, axis in found.axes.items()}
    assert len(found.noise) == len(found.steps)
    assert found._losses.shape == found._tests.shape == found._seconds.shape == (count, len(found.steps))
    assert found._repeats.shape[1:] == (-(-count // 10), len(found.steps))
    assert np.isfinite(found._losses[:, 0]).mean() > 0.5
    assert np.isfinite(made.optimum)
    assert made.optimum <= made.true(middle)
    assert made.seconds(middle, 0, found.steps[-1]) > made.seconds(middle, 0, found.steps[0]) > 0
    assert len(found.about["what"]) > 20


def test_tables_stay_small() -> None:
    assert sum(path.stat().st_size for path in recorded_tables.HERE.glob("*.npz")) < 20e6
