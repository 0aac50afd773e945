"""The cart-pole's physics: what mechanics says must come of it."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.problems import _cartpole as cartpole

FREE = cartpole.STANDARD._replace(cart_friction=0.0, hinge_friction=0.0, track=1e9)


def states(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, count)) * np.array([[0.5], [2.0], [1.0], [4.0]])


def still(count: int = 1) -> np.ndarray:
    return np.zeros(count)


def test_without_force_and_friction_energy_and_momentum_are_kept() -> None:
    first = states(20)
    last = cartpole.move(first, still(20), 3.0, 3000, FREE)
    np.testing.assert_allclose(cartpole.energy(last, FREE), cartpole.energy(first, FREE), atol=1e-8)

    def momentum(state: np.ndarray) -> np.ndarray:
        reach = FREE.rod * FREE.half
        return (FREE.cart + FREE.rod) * state[2] + reach * state[3] * np.cos(state[1])

    np.testing.assert_allclose(momentum(last), momentum(first), atol=1e-9)
    assert np.abs(last - first).max() > 0.1


def test_the_error_falls_with_the_fourth_power_of_the_step() -> None:
    first, force = states(50), np.linspace(-5, 5, 50)
    exact, coarse, fine = (cartpole.move(first, force, 0.4, n, FREE) for n in (3200, 40, 80))
    ratios = np.linalg.norm(coarse - exact, axis=0) / np.linalg.norm(fine - exact, axis=0)
    assert 14 < np.median(ratios) < 18


def test_energy_changes_by_the_work_of_force_and_friction() -> None:
    physics = cartpole.STANDARD._replace(track=1e9)
    state, force, h = states(20), np.linspace(-5, 5, 20), 1e-5
    gain = (cartpole.energy(cartpole.move(state, force, h, 1, physics)) - cartpole.energy(state)) / h
    lost = physics.cart_friction * state[2] ** 2 + physics.hinge_friction * state[3] ** 2
    np.testing.assert_allclose(gain, force * state[2] - lost, atol=0.02)


def test_a_rod_left_to_itself_swings_as_a_compound_pendulum() -> None:
    # A heavy cart hardly moves, so that a small swing has the angular frequency sqrt(3 g / (4 l)).
    physics = FREE._replace(cart=1e6)
    state = np.array([[0.0], [np.pi + 1e-3], [0.0], [0.0]])
    period = 2 * np.pi / np.sqrt(3 * physics.gravity / (4 * physics.half))
    after = cartpole.move(state, still(), period / 2, 2000, physics)
    assert after[1, 0] == pytest.approx(np.pi - 1e-3, abs=1e-7)


def test_standing_up_is_unstable_and_hanging_is_stable() -> None:
    tilted = np.array([[0.0, 0.0], [1e-3, np.pi + 1e-3], [0.0, 0.0], [0.0, 0.0]])
    far = 0.0
    for _ in range(50):
        tilted = cartpole.move(tilted, still(2), 0.05)
        far = max(far, abs(tilted[1, 0]))
        assert abs(tilted[1, 1] - np.pi) < 2e-3
    assert far > 2.0
    balanced = cartpole.move(np.zeros((4, 1)), still(), 5.0, 100)
    assert not balanced.any()


def test_many_at_once_are_each_alone() -> None:
    first, force = states(7, 3), np.linspace(-5, 5, 7)
    together = first
    alone = [first[:, i : i + 1] for i in range(7)]
    for _ in range(30):
        together = cartpole.move(together, force, cartpole.STEP)
        alone = [cartpole.move(one, force[i : i + 1], cartpole.STEP) for i, one in enumerate(alone)]
    np.testing.assert_allclose(together, np.concatenate(alone, axis=1), rtol=1e-12)
    assert cartpole.observation(together).shape == (7, cartpole.OBSERVED)


def test_the_track_stops_the_cart_and_takes_energy_but_no_spin_about_the_hinge() -> None:
    physics = cartpole.STANDARD
    before = np.array([[physics.track - 1e-7], [0.4], [2.0], [-1.0]])
    after = cartpole.move(before, still(), 1e-6, 1)
    assert after[0, 0] == physics.track
    assert after[2, 0] == 0.0
    reach, inertia = physics.rod * physics.half, 4 / 3 * physics.rod * physics.half**2

    def about_hinge(state: np.ndarray) -> float:
        return float(reach * np.cos(state[1, 0]) * state[2, 0] + inertia * state[3, 0])

    assert about_hinge(after) == pytest.approx(about_hinge(before), abs=1e-5)
    assert cartpole.energy(after)[0] < cartpole.energy(before)[0] - 0.1
    pulled = cartpole.move(after, np.array([-5.0]), 0.2, 20)
    assert pulled[0, 0] < physics.track


def test_reward_is_largest_up_in_the_middle_and_nothing_hanging() -> None:
    drawn = states(500, 1)
    drawn[0] = np.clip(drawn[0], -cartpole.STANDARD.track, cartpole.STANDARD.track)
    rewards = cartpole.reward(drawn)
    assert rewards.min() >= 0.0
    assert rewards.max() < 1.0
    assert cartpole.reward(np.zeros((4, 1))) == 1.0
    assert cartpole.reward(cartpole.hanging(np.zeros((4, 1)))) == pytest.approx(0.0)
