"""A cart-pole to swing up: many at once in NumPy, with the physics written out.

A cart of mass M runs on a track along x and carries a uniform rod of mass m and half length l on a hinge.
The angle a is 0 where the rod stands up and pi where it hangs; x and a grow to the right. The force F acts on
the cart, friction in proportion to speed on the cart (b) and on the hinge (c). From the Lagrangian

    L = (M + m) x'^2 / 2 + m l x' a' cos a + J a'^2 / 2 - m g l cos a,    J = 4/3 m l^2 (the rod at its end)

come the two equations of motion, linear in the accelerations,

    (M + m) x'' + m l cos a a'' = F - b x' + m l a'^2 sin a
    m l cos a x'' + J a''       = m g l sin a - c a'

which are those of Florian (2007), "Correct equations for the dynamics of the cart-pole system", with friction
in proportion to speed. They are integrated by the classical Runge-Kutta method in `SUBSTEPS` steps for each
control step, throughout which the force is constant.

The track ends at |x| = `Physics.track`: there the cart is stopped dead. The blow acts on the cart alone, so
the rod's angular momentum about the hinge, m l cos a x' + J a', is kept, and energy is lost.

An episode begins with the rod hanging and everything at rest, but for a little noise, and takes `EPISODE`
control steps whatever happens. The reward of a step, in [0, 1], is (1 + cos a) / 2 (1 - (x / track)^2 / 2) of
the state that it leads to: the rod up and the cart in the middle. Staying up has to be worked for, as that
equilibrium is unstable.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEP: Final = 0.06  # seconds between decisions
SUBSTEPS: Final = 2
EPISODE: Final = 100  # decisions: six seconds
FORCES: Final = (-1.0, 0.0, 1.0)  # that an agent chooses from, in shares of the largest force
OBSERVED: Final = 5


class Physics(NamedTuple):
    """The constants, in SI units."""

    cart: float = 0.5  # M, kg
    rod: float = 0.2  # m, kg
    half: float = 0.3  # l, m
    gravity: float = 9.81  # g, m/s^2
    cart_friction: float = 0.1  # b, N s/m
    hinge_friction: float = 0.01  # c, N m s
    force: float = 5.0  # the largest, N
    track: float = 1.5  # from the middle to an end, m


STANDARD: Final = Physics()


def change(state: Array, force: Array, physics: Physics = STANDARD) -> Array:
    """The time derivative of states (x, a, x', a'), (4, n), under forces (n,)."""
    _, angle, speed, spin = state
    sine, cosine = np.sin(angle), np.cos(angle)
    reach = physics.rod * physics.half
    inertia = 4 / 3 * reach * physics.half
    coupling = reach * cosine
    push = force - physics.cart_friction * speed + reach * spin * spin * sine
    turn = reach * physics.gravity * sine - physics.hinge_friction * spin
    mass = physics.cart + physics.rod
    divisor = mass * inertia - coupling * coupling  # above 0, as J (M + m) > (m l)^2
    return np.stack(
        [speed, spin, (inertia * push - coupling * turn) / divisor, (mass * turn - coupling * push) / divisor]
    )


def move(
    state: Array, force: Array, seconds: float, substeps: int = SUBSTEPS, physics: Physics = STANDARD
) -> Array:
    """The states after some seconds under constant forces, the cart stopped at the track's ends."""
    h = seconds / substeps
    for _ in range(substeps):
        k1 = change(state, force, physics)
        k2 = change(state + h / 2 * k1, force, physics)
        k3 = change(state + h / 2 * k2, force, physics)
        k4 = change(state + h * k3, force, physics)
        state = _stopped(state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), physics)
    return state


def energy(state: Array, physics: Physics = STANDARD) -> Array:
    """Kinetic and potential energy in joules, (n,); 0 at rest with the rod level."""
    _, angle, speed, spin = state
    reach = physics.rod * physics.half
    kinetic = (physics.cart + physics.rod) / 2 * speed**2 + reach * speed * spin * np.cos(angle)
    kinetic = kinetic + 2 / 3 * reach * physics.half * spin**2
    return kinetic + reach * physics.gravity * np.cos(angle)


def hanging(noise: Array) -> Array:
    """First states from standard normal noise (4, n): hanging at rest, but for 0.05 of it."""
    state = 0.05 * noise
    state[1] += np.pi
    return state


def reward(state: Array, physics: Physics = STANDARD) -> Array:
    """How good it is to be there, (n,), in [0, 1]."""
    return (1 + np.cos(state[1])) / 2 * (1 - (state[0] / physics.track) ** 2 / 2)


def observation(state: Array, physics: Physics = STANDARD) -> Array:
    """What an agent sees, (n, 5), each of the order of 1: x, x', cos a, sin a, a'."""
    place, angle, speed, spin = state
    seen = [place / physics.track, speed / 2, np.cos(angle), np.sin(angle), spin / 8]
    return np.stack(seen, axis=1)


def _stopped(state: Array, physics: Physics) -> Array:
    place, angle, speed, spin = state
    out = (np.abs(place) >= physics.track) & (place * speed > 0)
    # The blow changes a' so that m l cos a x' + J a' stays, where x' becomes 0.
    spin = np.where(out, spin + 3 / 4 * np.cos(angle) * speed / physics.half, spin)
    place = np.clip(place, -physics.track, physics.track)
    return np.stack([place, angle, np.where(out, 0.0, speed), spin])
