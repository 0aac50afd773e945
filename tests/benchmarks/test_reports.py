"""Reports: ranks with ties, wins, shares of the budget, pictures; the same rows give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from math import inf, log
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from benchmarks.experiments import Experiment, Plan, experiments
from benchmarks.experiments.rows import Row
from benchmarks.reports import Page, Section, ahead, criteria, deciding, sections
from benchmarks.reports.document import document, write
from benchmarks.reports.drawing import Axis, Curve, Panel, draw, spread, ticks, told
from benchmarks.reports.drawing import _ruler as ruler
from benchmarks.reports.field import duel, field_of, reached
from benchmarks.reports.markdown import number, quartiles, table
from benchmarks.reports.planned import about, gaps
from benchmarks.reports.ranks import by_time, curves, differences, mean_ranks, outcomes, ranks, share_to_reach
from benchmarks.systems import Setting
from benchmarks.systems.pace import QUIET

BUDGET = 1000.0


def row(
    system: str,
    regrets: Sequence[float],
    problem: str = "counting ones 8+8",
    seed: int = 0,
    workers: int = 1,
    deciding: float = 1.0,
) -> Row:
    """A search whose incumbents come at even parts of the budget, the last one at its end."""
    steps = [BUDGET * (i + 1) / len(regrets) for i in range(len(regrets))]
    points = tuple((at, at / workers, 5.0 + r, 5.0 + r) for at, r in zip(steps, regrets, strict=True))
    return Row(
        system, problem, seed, workers, BUDGET, None, "",
        evaluations=len(regrets), full=len(regrets), resource=BUDGET, now=BUDGET / workers,
        deciding=deciding, wall=2.0, optimum=5.0, observed=points[-1][2], true=points[-1][3], points=points,
    )  # fmt: skip


def flat(levels: dict[str, Sequence[float]], problem: str = "counting ones 8+8") -> list[Row]:
    """By system: a constant regret for each seed."""
    return [
        row(name, [level] * 20, problem, seed)
        for name, each in levels.items()
        for seed, level in enumerate(each)
    ]


# -- ranks ------------------------------------------------------------------------------------------------


def test_ranks_of_systems_that_are_apart() -> None:
    rows = flat({"a": [1.0, 1.1, 0.9], "b": [2.0, 2.1, 1.9], "c": [4.0, 4.1, 3.9]})
    found = ranks(curves(rows)["counting ones 8+8"], ["a", "b", "c"])
    assert {name: set(rank) for name, rank in found.items()} == {"a": {1.0}, "b": {2.0}, "c": {3.0}}


def test_ties_within_the_standard_error_are_split() -> None:
    # a and b differ by turns: the mean difference of the logarithms is 0; c is behind both on every seed.
    rows = flat({"a": [1.0, 2.0, 1.0, 2.0], "b": [2.0, 1.0, 2.0, 1.0], "c": [8.0, 9.0, 8.0, 9.0]})
    found = ranks(curves(rows)["counting ones 8+8"], ["a", "b", "c"])
    assert {name: set(rank) for name, rank in found.items()} == {"a": {1.5}, "b": {1.5}, "c": {3.0}}


@pytest.mark.parametrize(("mean", "expected"), [(0.0, 0.5), (0.99, 0.5), (1.01, 1.0), (-1.01, 0.0)])
def test_a_tie_is_a_mean_of_no_more_than_one_standard_error(mean: float, expected: float) -> None:
    noise = np.array([-1.0, 1.0, -1.0, 1.0])
    error = noise.std(ddof=1) / 2.0
    assert outcomes((noise + mean * error)[:, None]).tolist() == [expected]


def test_the_same_everywhere_is_a_tie() -> None:
    rows = flat({"a": [3.0, 3.0], "b": [3.0, 3.0]})
    assert set(ranks(curves(rows)["counting ones 8+8"], ["a", "b"])["a"]) == {1.5}


def oracle(logs: dict[str, dict[int, np.ndarray]], names: Sequence[str], point: int) -> dict[str, float]:
    """Ranks by counting, one pair and one seed at a time."""
    found = {}
    for name in names:
        place = 1.0
        for other in names:
            if other == name:
                continue
            gaps = [logs[name][seed][point] - logs[other][seed][point] for seed in logs[name]]
            mean = sum(gaps) / len(gaps)
            error = (sum((gap - mean) ** 2 for gap in gaps) / (len(gaps) - 1) / len(gaps)) ** 0.5
            place += 0.5 if abs(mean) <= error else float(mean > 0)
        found[name] = place
    return found


@pytest.mark.parametrize("seed", range(20))
def test_ranks_are_those_of_the_oracle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"s{i}" for i in range(int(rng.integers(2, 7)))]
    logs = {name: {k: rng.normal(i / 2, 1.0, 3) for k in range(5)} for i, name in enumerate(names)}
    found = ranks(logs, names)
    for point in range(3):
        expected = oracle(logs, names, point)
        assert {name: found[name][point] for name in names} == pytest.approx(expected)
    whole = len(names) * (len(names) + 1) / 2
    assert sum(found.values()) == pytest.approx(whole)


def test_only_seeds_that_both_have_are_compared() -> None:
    # On seeds 0 and 1 b is ahead; a alone has the easy seeds 2 and 3.
    rows = flat({"a": [4.0, 4.1, 0.1, 0.1], "b": [2.0, 2.1]})
    logs = curves(rows)["counting ones 8+8"]
    assert differences(logs["a"], logs["b"]).shape == (2, 20)
    assert set(ranks(logs, ["a", "b"])["a"]) == {2.0}


def test_a_single_seed_or_none_says_nothing() -> None:
    rows = flat({"a": [1.0, 1.0, 1.0], "b": [2.0], "c": [3.0, 3.1, 3.0]})
    found = ranks(curves(rows)["counting ones 8+8"], ["a", "b", "c", "d"])
    assert found.keys() == {"a", "c"}
    assert set(found["a"]) == {1.0}
    assert set(found["c"]) == {4.0}  # behind all that it could be compared with


def test_mean_ranks_are_over_the_problems_that_a_system_has() -> None:
    rows = flat({"a": [1.0, 1.1], "b": [2.0, 2.1]}, "noisy") + flat({"b": [1.0, 1.1]}, "ackley40")
    rows += flat({"a": [2.0, 2.1], "b": [1.0, 1.1]}, "conditional")
    found = mean_ranks(curves(rows), ["a", "b"])
    assert {name: rank.mean() for name, rank in found.items()} == {"a": 1.5, "b": 1.5}


def test_ranks_change_on_the_way() -> None:
    rows = [row("early", [1.0, 1.0], seed=k) for k in (0, 1)] + [
        row("late", [2.0, 0.5], seed=k) for k in (0, 1)
    ]
    rank = ranks(curves(rows)["counting ones 8+8"], ["early", "late"])["early"]
    assert rank.tolist() == [1.5] * 9 + [1.0] * 10 + [2.0]  # before half of the budget neither has anything


def test_by_time_looks_at_the_clock() -> None:
    # Both spend the same; with 4 workers the second one's last result comes when half of its time is over.
    first = [row("idle", [4.0, 1.0], workers=4, seed=k) for k in (0, 1)]
    second = [
        one._replace(system="busy", points=tuple((a, b / 2, c, d) for a, b, c, d in one.points))
        for one in first
    ]
    rows = first + second
    assert set(ranks(curves(rows)["counting ones 8+8"], ["idle", "busy"])["idle"]) == {1.5}
    way = ranks(curves(rows, by_time(rows))["counting ones 8+8"], ["idle", "busy"])["idle"]
    assert way[10] == 2.0
    assert way[-1] == 1.5


# -- the comparison ---------------------------------------------------------------------------------------


def test_wins_ties_and_losses() -> None:
    rows = flat({"rung": [1.0, 1.1], "weak": [2.0, 2.2], "strong": [0.5, 0.55], "same": [1.0, 1.1]})
    logs = curves(rows)["counting ones 8+8"]
    marks = {}
    for name in ("weak", "strong", "same"):
        found = duel(logs, name, end=True)
        assert found is not None
        marks[name] = (round(found.ratio, 9), found.mark)
    assert marks == {
        "weak": (round(log(0.5), 9), "✓"),
        "strong": (round(log(2.0), 9), "✗"),
        "same": (0.0, "≈"),
    }
    assert duel(logs, "nobody", end=True) is None


def test_the_share_at_which_a_value_is_reached() -> None:
    mine = {seed: np.log([8.0, 4.0, 2.0, 1.0]) for seed in range(3)}
    assert share_to_reach(mine, {seed: np.log([9.0, 9.0, 9.0, 4.0]) for seed in range(3)}) == 0.5
    assert share_to_reach(mine, {seed: np.log([9.0, 9.0, 9.0, 0.5]) for seed in range(3)}) == inf
    assert share_to_reach(mine, {0: np.log([9.0, 9.0, 9.0, 4.0])}) is None


def lead(workers: int = 1) -> list[Row]:
    """rung has with half of the resource what BOHB has in the end, but on one problem; all of it quickly."""
    found = []
    for problem, seed in product(("counting ones 8+8", "recorded lightgbm", "noisy"), range(3)):
        noise = 1.0 + 0.1 * seed
        late = problem == "recorded lightgbm"
        mine = [4.0, 4.0, 3.0, 0.5] if late else [4.0, 1.0, 0.5, 0.5]
        found.append(row("rung", [noise * r for r in mine], problem, seed, workers, deciding=0.5))
        for peer, price in (("hpbandster", 50.0), ("rung bohb", 0.1), ("ax", 20.0)):
            theirs = [noise * r for r in (5.0, 4.0, 2.0, 1.0)]
            found.append(row(peer, theirs, problem, seed, workers, deciding=price))
    return found


def test_half_of_the_resource_is_for_problems_with_one() -> None:
    found = reached(field_of(lead(), 1))
    assert found == {
        "counting ones 8+8": {"hpbandster": 0.5, "rung bohb": 0.5},
        "recorded lightgbm": {"hpbandster": 1.0, "rung bohb": 1.0},
    }


def test_what_is_asked_of_the_default() -> None:
    text = "\n".join(criteria.told(lead(), [field_of(lead(), 1)]))
    lines = [re.split(r" \| ", line.strip("| ")) for line in text.splitlines()[4:] if line.strip()]
    assert [line[-1] for line in lines] == ["**yes**", "**no**", "**no**", "**yes**", "**yes**"]
    assert re.fullmatch(r"1\.\d\d, place 1 of 4; [a-z ]+ \d\.\d\d", lines[0][1])
    assert "one worker (dehb, neps" in lines[0][0]
    assert lines[1][1] == "1 of 2 problems"
    assert text.startswith("Of 5 things asked: 3 met, 2 **not met**, 0 not measured.")
    assert lines[3][1] == "ax takes 40.0 times as long (9 searches)"
    assert lines[4][1] == "hpbandster takes 100 times as long (3 searches)"


def test_a_system_on_few_problems_takes_no_place_among_those_on_all() -> None:
    """smac is ahead, on the one problem that it ran on: said beside rung there."""
    rows = lead() + [row("smac", [0.1] * 4, "noisy", seed) for seed in range(3)]
    fields = [field_of(rows, 1)]
    text = "\n".join(criteria.told(rows, fields))
    assert re.search(r"place 1 of 4; ax \d", text)
    assert re.search(r"than smac .* \| 2\.20, smac 1\.40 on 1 of 3 problems \| \*\*no\*\* \|", text)
    ranked = ahead.make({"ahead": rows}).text.split("### Ranks")[1]
    assert re.search(
        r"^\| smac \| 1 \| 1\.40 / 1\.00 \| 2\.20 / 2\.00 \| 5 \| noisy \|$", ranked, re.MULTILINE
    )
    assert re.search(r"^\| \*\*rung\*\* \| \*\*", ranked, re.MULTILINE)


def test_what_is_not_measured_is_not_met() -> None:
    rows = [one for one in lead() if one.system in ("hpbandster", "ax")]
    text = "\n".join(criteria.told(rows, [field_of(rows, 1)]))
    assert text.count("| not measured |") == 5
    assert "yes" not in text


def test_deciding_is_compared_on_the_same_searches() -> None:
    rows = [row("rung", [1.0], seed=0, deciding=2.0), row("ax", [1.0], seed=0, deciding=6.0)]
    rows.append(row("ax", [1.0], seed=1, deciding=600.0))
    assert deciding.ratio(rows, "ax") == 3.0
    assert deciding.ratio(rows, "smac") is None


def test_a_slow_core_is_no_slow_system() -> None:
    """ax ran when everything took thrice as long; the search without a pace of then is left out."""
    slow, quiet = 3 * QUIET, QUIET
    rows = [
        row("rung", [1.0], seed=0, deciding=2.0)._replace(pace=quiet),
        row("rung", [1.0], seed=1, deciding=1.0),
        row("ax", [1.0], seed=0, deciding=12.0)._replace(pace=slow),
        row("ax", [1.0], seed=1, deciding=90.0)._replace(pace=slow),
    ]
    assert deciding.ratio(rows, "ax") == pytest.approx(2.0)
    assert deciding.seconds(rows, "ax") == pytest.approx((12.0 + 90.0) / 2 / 3)
    assert deciding.seconds(rows, "rung") == 2.0
    text = "\n".join(deciding.told([*rows, row("smac", [1.0])]))
    assert re.findall(r"^\| (\S+) \\\* \|", text, re.MULTILINE) == ["smac"]


def test_the_comparison_does_with_few_rows() -> None:
    for rows in ([], lead()[:1], lead()[1:3], [one for one in lead() if one.system != "rung"], lead(16)):
        page = ahead.make({"ahead": rows})
        assert page.text.startswith("## ahead")
        assert all(name in page.text for name in page.pictures)


# -- what is there ----------------------------------------------------------------------------------------

PLANNED = Experiment("what", (Plan(("p", "q"), ("a", "b"), (Setting(), Setting(workers=4)), 2),), (), 1.0)


def every(problems: str = "pq", systems: str = "ab") -> list[Row]:
    return [
        row(system, [1.0], problem, seed, workers)
        for problem, system, seed, workers in product(problems, systems, (0, 1), (1, 4))
    ]


def test_what_is_missing_is_named() -> None:
    assert list(gaps(PLANNED, every())) == []
    assert list(gaps(PLANNED, every("p"))) == ["any search of the problem q"]
    assert list(gaps(PLANNED, every("pq", "a"))) == ["any search of the system b"]
    assert list(gaps(PLANNED, every()[1:])) == ["1 of 8 searches of a"]
    assert "Not run yet: `python -m benchmarks.experiments run name`" in about("name", PLANNED, [])
    assert "16 searches, 2 seeds of each, 32 seconds of wall time" in about("name", PLANNED, every())


def papers() -> dict[str, list[Row]]:
    """A few rows for every experiment, as its quick form would have them."""
    rng, found = np.random.default_rng(0), {"ahead": lead() + lead(16)}
    for name, one in experiments().items():
        for plan in one.quick:
            for system, problem, setting in plan.runs():
                regrets = np.sort(rng.lognormal(0.0, 1.0, 6))[::-1]
                made = row(system, regrets.tolist(), problem, setting.seed, setting.workers)
                variant = (
                    ""
                    if name != "asha-stragglers"
                    else f"stragglers {setting.stragglers:g}, drop {setting.drop:g}"
                )
                found.setdefault(name, []).append(made._replace(seconds=setting.seconds, variant=variant))
    return found


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rows = papers()
    first = {path.relative_to(tmp_path / "a"): path.read_bytes() for path in write(tmp_path / "a", rows)}
    backwards = {name: each[::-1] for name, each in reversed(rows.items())}
    second = {
        path.relative_to(tmp_path / "b"): path.read_bytes() for path in write(tmp_path / "b", backwards)
    }
    assert first == second
    text = first[Path("experiments.md")].decode()
    assert set(re.findall(r"\((images/experiments/[^)]+)\)", text)) == {
        str(p) for p in first if p.suffix == ".svg"
    }
    for name in experiments():
        assert f"\n## {name}\n" in text
    assert "nan" not in text


def test_pictures_that_are_gone_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "images" / "experiments" / "gone.svg"
    left.parent.mkdir(parents=True)
    left.write_text("")
    write(tmp_path, {})
    assert not left.exists()


def test_without_rows_every_experiment_is_named() -> None:
    text, pictures = document({})
    assert pictures == {}
    assert text.count("Not run yet") == len(experiments())


def test_sections_are_in_their_order() -> None:
    found = sections()
    assert list(found)[:3] == ["claims", "ahead", "counting-ones"]
    assert all(isinstance(one, Section) for one in found.values())
    assert isinstance(found["claims"].make({}), Page)


# -- drawing and numbers ----------------------------------------------------------------------------------


def picture(count: int = 8) -> str:
    x = np.geomspace(1.0, 1000.0, 44)
    rng = np.random.default_rng(1)
    lines = [np.exp(-np.cumsum(rng.exponential(0.1, 44))) for _ in range(count)]
    made = [
        Curve(f"a < {i}", colour, x, y, y / 2 if i == 0 else None, 2 * y if i == 0 else None, True, i == 0)
        for i, (y, colour) in enumerate(zip(lines, ["blue", "red", "green", "olive"] * 2, strict=False))
    ]
    panel = Panel("a & b", Axis("resource", True), Axis("regret", True), tuple(made))
    return draw([panel] * 6)


def test_pictures_are_small_and_sound() -> None:
    text = picture()
    assert len(text.encode()) < 40_000  # every line moves at every step here: no real one does
    root = ElementTree.fromstring(text)
    names = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert (names.count("a & b"), names.count("a < 0")) == (6, 6)
    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"\bid=|nan|inf|<script", text)


def test_steps_are_flat_until_the_next() -> None:
    curve = Curve("a", "blue", np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2.0, 1.0, 1.0]), step=True)
    text = draw([Panel("", Axis("x"), Axis("y"), (curve,))])
    found = re.search(r'class="blue" d="M[\d.]+ [\d.]+h([\d.]+)v([\d.]+)h([\d.]+)"', text)
    assert found is not None
    right, down, rest = map(float, found.groups())
    assert right == pytest.approx(2 * rest, abs=0.2)
    assert down > 100.0


def test_names_do_not_meet() -> None:
    places = spread([50.0, 50.0, 51.0, 52.0, 180.0, 181.0], 40.0, 190.0, 13.0)
    assert np.diff(places).min() >= 13.0 - 1e-9
    assert min(places) >= 40.0
    assert max(places) <= 190.0
    assert spread([100.0, 60.0], 40.0, 190.0, 13.0) == [100.0, 60.0]


@pytest.mark.parametrize(
    ("low", "high", "log_axis", "expected"),
    [
        (0.001, 100.0, True, [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]),
        (0.9, 40.0, True, [1.0, 3.0, 10.0, 30.0]),
        (1e-12, 1.0, True, [1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1.0]),
        (0.0, 10.0, False, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
        (0.011, 0.017, True, [0.011, 0.012, 0.013, 0.014, 0.015, 0.016, 0.017]),
    ],
)
def test_ticks_are_round(low: float, high: float, log_axis: bool, expected: list[float]) -> None:
    made = ruler(Axis("", log_axis), [np.array([low, high])], 0.0, 100.0, 0.0)
    assert ticks(made) == pytest.approx(expected)


def test_numbers_as_they_are_told() -> None:
    assert [told(value) for value in (0.0, 0.001, 30.0, 1e-5, 3e-7, 1e6)] == [
        "0",
        "0.001",
        "30",
        "10⁻⁵",
        "3·10⁻⁷",
        "10⁶",
    ]
    assert [number(value) for value in (0.0, 1e-12, 0.01234, 1.5, 1234.0, 1e-7, inf)] == [
        "0", "0", "0.0123", "1.50", "1234", "1.0e-07", "never",
    ]  # fmt: skip
    assert quartiles([1.0, 2.0, 3.0]) == "2.00 (1.50 to 2.50)"
    assert table(("a", "b"), [("x|y", "1")]) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |\n"
