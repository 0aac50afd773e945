"""ASAP's schedule and pruning, against figures by hand and rules that hold for any alphas."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.errors import UserError
from rung.nas.moment import Moment
from rung.nas.plain import candidates_mask
from rung.nas.space import SPACES, Cell, Space
from rung.nas.strategies.asap import Asap
from rung.nas.strategies.asap_gates import soft_top
from rung.nas.strategies.asap_pruning import confidence_ratio
from rung.nas.strategies.base import Removal

EIGHT = Space("eight", (Cell("normal", 1, SPACES["darts"].cells[0].operations, keep=None, inputs=1),))
NORMAL = Space("normal", (SPACES["darts"]["normal"],))


def at(epoch: int, epochs: int = 50, steps: int = 1) -> Moment:
    return Moment(0, epoch, epochs, 0, steps)


def masks(space: Space) -> dict[str, np.ndarray]:
    return {cell.name: candidates_mask(cell) for cell in space.cells}


def applied(alive: dict[str, np.ndarray], removals: tuple[Removal, ...]) -> dict[str, np.ndarray]:
    left = {name: mask.copy() for name, mask in alive.items()}
    for cell, edge, column in removals:
        assert left[cell][edge, column], "removed twice"
        left[cell][edge, column] = False
    return left


# The schedule.


def test_temperature_of_the_paper() -> None:
    asap = Asap()
    assert asap.temperature(at(0)) == 1.6
    assert asap.temperature(at(9)) == pytest.approx(1.008399, abs=1e-6)
    assert asap.temperature(at(10)) == pytest.approx(0.957979, abs=1e-6)
    assert asap.temperature(at(49)) == pytest.approx(0.1295915, abs=1e-6)
    assert [e for e in range(50) if not asap.learning(at(e))] == list(range(10))


def test_extra_epochs_cool_faster() -> None:
    asap = Asap(extra_beta=0.5)
    assert asap.temperature(at(50)) == pytest.approx(0.1295915 / 2, abs=1e-6)
    assert asap.temperature(at(52)) == pytest.approx(0.1295915 / 8, abs=1e-6)


@pytest.mark.parametrize("epochs", [1, 2, 12, 20, 50, 200])
def test_scaled_ends_where_the_paper_does(epochs: int) -> None:
    asap = Asap().scaled(epochs)
    last = Moment(0, epochs - 1, epochs, 999, 1000)
    assert asap.temperature(at(0, epochs)) == 1.6
    assert asap.temperature(last) == pytest.approx(0.1295915, abs=1e-6)
    assert asap.scaled(50).beta == pytest.approx(0.95, abs=1e-12)


def test_one_fall_cannot_be_scaled() -> None:
    assert Asap(checks=1).scaled(1) == Asap(checks=1)


@pytest.mark.parametrize(("epochs", "share"), [(12, 0.4), (20, 0.4), (10, 0.5)])
def test_a_course_in_a_part_of_the_epochs(epochs: int, share: float) -> None:
    """T goes from T0 to the paper's last in that part, in some fifty falls, and falls on at the same pace."""
    asap, steps = Asap(anneal=share).scaled(epochs), 60
    moments = [Moment(0, e, epochs, step, steps) for e in range(epochs) for step in range(steps)]
    heats = [asap.temperature(moment) for moment in moments]
    falls = sorted(set(heats), reverse=True)
    assert heats[0] == 1.6
    course = [heat for heat in falls if heat > 0.1295]
    assert 45 <= len(course) <= 55
    assert course[-1] == pytest.approx(0.1295915, rel=0.02)
    assert np.diff(np.log(falls)) == pytest.approx(np.log(falls[1] / falls[0]))
    for wrong in (0.0, 1.1, math.nan):
        with pytest.raises(UserError, match="anneal of asap"):
            Asap(anneal=wrong)


@pytest.mark.parametrize(("epochs", "checks"), [(50, 1), (100, 1), (20, 2), (12, 4), (5, 10)])
def test_short_searches_fall_about_fifty_times(epochs: int, checks: int) -> None:
    """As the paper's fifty epochs, whatever is an epoch: the same temperatures, each for as many steps."""
    asap, steps = Asap().scaled(epochs), 40
    moments = [Moment(0, e, epochs, step, steps) for e in range(epochs) for step in range(steps)]
    heats = [asap.temperature(moment) for moment in moments]
    assert heats == sorted(heats, reverse=True)
    assert len(set(heats)) == epochs * checks
    falls = [i for i, m in enumerate(moments) if asap.prunes(m)]
    assert falls == list(range(0, len(moments), steps // checks))
    assert [i for i in range(1, len(heats)) if heats[i] < heats[i - 1]] == falls[1:]
    extra = Moment(0, epochs, epochs, 0, steps)
    assert asap.temperature(extra) == pytest.approx(heats[-1] * 0.6 ** (1 / checks))
    assert asap.temperature(extra._replace(epoch=epochs + 1)) == pytest.approx(asap.temperature(extra) * 0.6)


def test_pruning_within_an_epoch_waits_for_the_grace_period() -> None:
    asap = Asap(policy="linear").scaled(12)
    alphas = {name: torch.randn(value.shape) * 20 for name, value in asap.begin(SPACES["darts"], 0).items()}
    there = {cell.name: candidates_mask(cell) for cell in SPACES["darts"].cells}
    gone = {
        step: len(asap.removals(SPACES["darts"], alphas, there, Moment(0, 2, 12, step, 40)))
        for step in (0, 10, 20, 30)
    }
    assert [asap.learning(Moment(0, 2, 12, step, 40)) for step in gone] == [False, True, True, True]
    assert gone[0] == 0
    assert gone[10] == 4  # zeros of nodes with no edge to spare: from here on the threshold rises
    assert 4 < gone[20] <= gone[30]


# Operations.


def alphas_of_chances(chances: list[float], heat: float) -> dict[str, torch.Tensor]:
    return {"normal": heat * torch.tensor([chances], dtype=torch.float64).log()}


def test_threshold_is_five_hundredths_of_eight_operations() -> None:
    asap = Asap()
    heat = asap.temperature(at(20))
    chances = [0.0499, 0.0501, 0.05, 0.3, 0.2, 0.15, 0.1, 0.1]  # of one edge whose operations all compete
    alphas = alphas_of_chances([c / sum(chances) for c in chances], heat)
    gone = asap.removals(EIGHT, alphas, masks(EIGHT), at(20))
    assert gone == (Removal("normal", 0, 0),)


def test_threshold_stays_as_operations_go() -> None:
    """Two of eight are left: the threshold is 0.4 / 8 still, not 0.4 / 2."""
    asap, alive = Asap(), masks(EIGHT)
    alive["normal"][0, 2:] = False
    heat = asap.temperature(at(20))
    rest = [1e-9] * 6
    assert asap.removals(EIGHT, alphas_of_chances([0.94, 0.06, *rest], heat), alive, at(20)) == ()
    gone = asap.removals(EIGHT, alphas_of_chances([0.96, 0.04, *rest], heat), alive, at(20))
    assert gone == (Removal("normal", 0, 1),)


def test_threshold_is_the_same_on_every_edge() -> None:
    """A threshold that shrinks from edge to edge would prune the first alone."""
    asap = Asap()
    row = torch.tensor([-9.0, *[0.0] * 7])
    alphas = {"normal": row.repeat(14, 1), "normal/edges": torch.zeros(14)}
    gone = asap.removals(NORMAL, alphas, masks(NORMAL), at(20))
    assert [(edge, column) for _, edge, column in gone if column == 0] == [(edge, 0) for edge in range(14)]


def test_linear_threshold_rises_from_the_grace_period_to_the_last_epoch() -> None:
    asap = Asap(policy="linear")
    for epoch, threshold in ((10, 0.0), (30, 0.05 * 20 / 39), (49, 0.05)):
        heat = asap.temperature(at(epoch))
        for chance in (threshold + 1e-3, threshold - 1e-3):
            if chance > 0:
                alphas = alphas_of_chances([chance, *[(1 - chance) / 7] * 7], heat)
                assert bool(asap.removals(EIGHT, alphas, masks(EIGHT), at(epoch))) == (chance < threshold)


def test_confidence_by_hand() -> None:
    """Two means that are apart by twice sqrt(2 ln(pi^2 N t^2 / (3 delta)) / t), times rate and steps."""
    gap = 2 * 3e-4 * 15_600 * math.sqrt(2 / 15_600 * math.log(math.pi**2 * 8 * 15_600**2 / 0.15))
    assert confidence_ratio(15_600, 3e-4, 8, 0.05) == pytest.approx(math.exp(-gap), rel=1e-12)
    assert gap == pytest.approx(0.536, abs=1e-3)
    assert confidence_ratio(0, 3e-4, 8, 0.05) == 0.0
    asap = Asap(policy="confidence")
    for lag, goes in ((gap - 1e-3, False), (gap + 1e-3, True)):
        alphas = {"normal": torch.tensor([[0.0, *[lag] * 7]], dtype=torch.float64)}
        moment = at(10 + 40 - 1, 50, 400)
        steps = 39 * 400
        assert steps == 15_600
        assert bool(asap.removals(EIGHT, alphas, masks(EIGHT), moment)) == goes


def test_confidence_seldom_removes_the_best() -> None:
    """Gradients of chance within -1 and 1, one operation the best by little: it stays in 95 of 100."""
    generator = np.random.default_rng(0)
    lost = 0
    for _ in range(200):
        steps = generator.uniform(-1, 1, (400, 4)) + np.array([0.05, 0.0, 0.0, 0.0])
        sums = np.clip(steps, -1, 1).cumsum(0)
        times = np.arange(1, 401)
        ratios = np.array([confidence_ratio(int(t), 1.0, 4, 0.05) for t in times])
        with np.errstate(under="ignore"):
            behind = np.exp(sums[:, 0] - sums.max(1)) < ratios
        lost += bool(behind.any())
    assert lost <= 10


@pytest.mark.parametrize("policy", ["constant", "linear", "confidence"])
@pytest.mark.parametrize("name", ["darts", "s2", "s4", "recurrent", "nasbench201"])
def test_uniform_alphas_are_not_pruned(policy: str, name: str) -> None:
    asap, space = Asap(policy=policy), SPACES[name]
    alphas = asap.begin(space, 0)
    for epoch in range(0, 50, 7):
        gone = asap.removals(space, alphas, masks(space), at(epoch, steps=390))
        zero = [space[cell].operations[column] == "none" for cell, _, column in gone]
        assert all(zero)  # at a node without an edge to spare, where it has no effect
        spare = {c.name: [len(c.entering(t)) > (c.keep or 0) for _, t in c.edges] for c in space.cells}
        assert not any(spare[cell][edge] for cell, edge, _ in gone)


def test_nothing_goes_in_the_grace_period() -> None:
    asap, space = Asap(), SPACES["darts"]
    alphas = {name: 50 * torch.randn(value.shape) for name, value in asap.begin(space, 0).items()}
    for epoch in range(10):
        assert asap.removals(space, alphas, masks(space), at(epoch)) == ()
    assert asap.removals(space, alphas, masks(space), at(10)) != ()


# Any alphas.

SPACE_NAMES = st.sampled_from(["darts", "s2", "s3", "recurrent", "nasbench201", "tiny"])


@settings(max_examples=20, deadline=None)
@given(SPACE_NAMES, st.integers(0, 2**31), st.floats(0.0, 30.0), st.integers(10, 70), st.booleans())
def test_pruning_any_alphas(name: str, seed: int, scale: float, epoch: int, early: bool) -> None:
    """Of anything that may be left, an operation that counts stays on each edge, and k edges at each node."""
    asap, space = Asap(edges="meanwhile" if early else "after"), SPACES[name]
    generator = torch.Generator().manual_seed(seed)
    alive = masks(space)
    for _ in range(3):
        alphas = {
            n: scale * torch.randn(v.shape, generator=generator) for n, v in asap.begin(space, 0).items()
        }
        gone = asap.removals(space, alphas, alive, at(epoch))
        assert gone == asap.removals(space, alphas, alive, at(epoch)), "not a function"
        alive = applied(alive, gone)
        for cell in space.cells:
            counts = np.array([operation != "none" for operation in cell.operations])
            left = alive[cell.name].any(1)
            if cell.keep is None:
                assert left.all()
                continue
            assert (alive[cell.name][left] & counts).any(1).all()
            for target in cell.targets:
                entering = cell.entering(target)
                assert left[list(entering)].sum() >= min(cell.keep, len(entering))
        asap.derive(space, alphas, alive)  # there is always something to derive


@settings(max_examples=25, deadline=None)
@given(SPACE_NAMES, st.integers(0, 2**31), st.sampled_from([0.0, 1e-6, 1.0]))
def test_the_last_extra_epoch_decides(name: str, seed: int, scale: float) -> None:
    """Whatever is left, ties too; and what is left is what would have been derived before."""
    asap, space = Asap(), SPACES[name]
    generator = torch.Generator().manual_seed(seed)
    alphas = {n: scale * torch.randn(v.shape, generator=generator) for n, v in asap.begin(space, 0).items()}
    alive, last = masks(space), at(50 + asap.extra - 1)
    ahead = asap.derive(space, alphas, alive)
    assert asap.more(space, alive, last)
    assert not asap.more(space, alive, at(50 + asap.extra))
    alive = applied(alive, asap.removals(space, alphas, alive, last))
    assert asap.undecided(space, alive) == []
    assert asap.finished(space, alive, last)
    assert not asap.more(space, alive, last)
    assert asap.derive(space, alphas, alive) == ahead
    mixtures = asap.mixed(space, alphas, alive, last).mixtures
    for cell in space.cells:
        assert torch.equal(mixtures[cell.name], torch.from_numpy(alive[cell.name]).float())


def test_undecided_in_words() -> None:
    space = Space("two", (Cell("normal", 2, ("none", "skip_connect", "sep_conv_3x3")),))
    alive = masks(space)
    alive["normal"][:, 0] = False
    alive["normal"][1:, 2] = False
    said = Asap().undecided(space, alive)
    assert said == [
        "normal, edge 0 to 2: skip_connect, sep_conv_3x3",
        "normal, node 3: 2 of the inputs [0, 1, 2]",
    ]


# Edges.


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8), st.integers(1, 4), st.integers(0, 2**31), st.floats(0.0, 1e3))
def test_soft_top_sums_to_k(n: int, k: int, seed: int, scale: float) -> None:
    k = min(k, n - 1)
    claims = scale * torch.randn(3, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    gates = soft_top(claims, k)
    assert torch.allclose(gates.sum(1), torch.full((3,), float(k), dtype=torch.float64), atol=1e-6)
    assert (gates.gather(1, claims.argsort(1)).diff(dim=1) >= 0).all()


def test_soft_top_of_two_by_hand() -> None:
    """Of two, one: the sum of two sigmoids is one where tau is their middle."""
    gates = soft_top(torch.tensor([[1.0, 3.0]], dtype=torch.float64), 1)
    assert torch.allclose(gates, torch.sigmoid(torch.tensor([[-1.0, 1.0]], dtype=torch.float64)))


def test_soft_top_gradient() -> None:
    """Implicit differentiation against differences."""
    claims = torch.tensor([[0.3, -1.0, 2.0, 0.7, 0.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: soft_top(x, 2), claims, eps=1e-6, atol=1e-7)


def test_soft_top_limits() -> None:
    claims = torch.tensor([[0.3, -1.0, 2.0, 0.7]], dtype=torch.float64)
    assert torch.allclose(
        soft_top(1e4 * claims, 2), torch.tensor([[0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
    )
    assert torch.allclose(soft_top(0 * claims, 2), torch.full((1, 4), 0.5, dtype=torch.float64))


def test_weights_of_a_node_sum_to_k() -> None:
    asap, cell = Asap(), NORMAL.cells[0]
    alphas = {n: torch.randn(v.shape, dtype=torch.float64) for n, v in asap.begin(NORMAL, 0).items()}
    mixtures = asap.mixed(NORMAL, alphas, masks(NORMAL), at(20)).mixtures["normal"]
    for target in cell.targets:
        assert float(mixtures[list(cell.entering(target)), 1:].sum()) == pytest.approx(2.0, abs=1e-9)


def test_zero_lowers_the_claim_of_an_edge_and_nothing_else() -> None:
    asap, cell = Asap(), NORMAL.cells[0]
    alphas = {n: v.detach().double() for n, v in asap.begin(NORMAL, 0).items()}
    before = asap.mixed(NORMAL, alphas, masks(NORMAL), at(20)).mixtures["normal"]
    alphas["normal"][2, 0] = 5.0  # the first edge of node 3
    alphas["normal"][0, 0] = 5.0  # of node 2, which has no edge to spare
    after = asap.mixed(NORMAL, alphas, masks(NORMAL), at(20)).mixtures["normal"]
    first, second, third = cell.entering(3)
    assert torch.equal(after[[0, 1], 1:], before[[0, 1], 1:])
    assert (after[first, 1:] < 0.3 * before[first, 1:]).all()
    assert (after[[second, third], 1:] > before[[second, third], 1:]).all()
    assert torch.allclose(after[first, 1:] / after[first, 1], torch.ones(7, dtype=torch.float64))


@pytest.mark.parametrize("early", [False, True])
def test_an_edge_waits_for_its_operations(early: bool) -> None:
    asap = Asap(edges="meanwhile" if early else "after")
    alive = masks(NORMAL)
    alphas = {n: v.detach() for n, v in asap.begin(NORMAL, 0).items()}
    alphas["normal/edges"][2] = -20.0
    gone = [edge for _, edge, column in asap.removals(NORMAL, alphas, alive, at(20)) if column]
    assert gone == ([2] * 7 if early else [])
    alive["normal"][2, 2:] = False
    gone = [(edge, column) for _, edge, column in asap.removals(NORMAL, alphas, alive, at(20)) if column]
    assert gone == [(2, 1)]


def test_an_edge_removed_at_its_threshold_changes_little() -> None:
    """What the others of its node gain is what it had, and that is under its threshold."""
    asap, cell = Asap(), NORMAL.cells[0]
    alive = masks(NORMAL)
    alive["normal"][:, 2:] = False
    alive["normal"][:, 0] = False
    alphas = {n: v.detach().double() for n, v in asap.begin(NORMAL, 0).items()}
    for gap in np.linspace(0, 3, 61):
        alphas["normal/edges"][9] = -gap  # of node 5, which has five
        gone = asap.removals(NORMAL, alphas, alive, at(30))
        if gone:
            break
    before = asap.mixed(NORMAL, alphas, alive, at(30)).mixtures["normal"]
    assert gone == (Removal("normal", 9, 1),)
    assert 0.065 < before[9, 1] < 0.08  # 0.2 * 2 / 5
    after = asap.mixed(NORMAL, alphas, applied(alive, gone), at(30)).mixtures["normal"]
    rest = list(cell.entering(5))[1:]
    assert float((after - before)[rest].sum()) == pytest.approx(float(before[9, 1]), abs=1e-9)
    assert torch.equal(after[:9], before[:9])


# Settings.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"T0": 0.0}, "T0 of asap is a positive number"),
        ({"beta": 1.0}, "beta of asap lies between 0 and 1"),
        ({"threshold": 1.5}, "threshold of asap lies between"),
        ({"policy": "cubic"}, "policy of asap is constant or linear or confidence, not .cubic."),
        ({"edges": "never"}, "after or meanwhile"),
        ({"extra": 0}, "extra of asap is at least 1, not 0"),
    ],
)
def test_settings_out_of_range(change: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        dataclasses.replace(Asap(), **change)  # type: ignore[arg-type]
