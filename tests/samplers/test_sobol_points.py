"""The sequence made here is SciPy's, bit by bit, wherever one begins, without loading SciPy's statistics."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import qmc

from rung.samplers.sobol import BLOCK, COORDINATES, Sequence
from rung.samplers.sobol_points import BITS, MOST, Points
from rung.space.compiled import compile_space
from rung.space.domains import Float


@pytest.mark.parametrize("coordinates", [1, 2, 3, 7, MOST])
@pytest.mark.parametrize("seed", range(4))
def test_points_are_scipys(coordinates, seed):
    expected = qmc.Sobol(coordinates, bits=BITS, rng=np.random.default_rng(seed)).random(1024)
    points = Points(coordinates, np.random.default_rng(seed))
    np.testing.assert_array_equal(points(0, 1024), expected)
    np.testing.assert_array_equal(points(777, 100), expected[777:877])


def test_the_last_points_are_scipys():
    engine = qmc.Sobol(3, bits=BITS, rng=np.random.default_rng(0)).fast_forward(2**BITS - 4)
    points = Points(3, np.random.default_rng(0))
    np.testing.assert_array_equal(points(2**BITS - 4, 4), engine.random(4))


@pytest.mark.parametrize("coordinates", [MOST, MOST + 1])
def test_a_space_has_the_same_sequence_whoever_makes_it(coordinates):
    space = compile_space({f"x{i}": Float(0, 1) for i in range(coordinates)})
    sequence = Sequence(space, 5)
    expected = qmc.Sobol(coordinates, bits=BITS, rng=np.random.default_rng(sequence._seed)).random(2 * BLOCK)
    for number in (BLOCK + 3, 0, 2 * BLOCK - 1):
        np.testing.assert_array_equal(np.array(sequence.values(space, number)), expected[number])


def test_scipys_most_coordinates():
    assert qmc.Sobol.MAXDIM == COORDINATES


@pytest.mark.parametrize(("numbers", "expected"), [(1, False), (21, True)])
def test_statistics_are_imported_by_the_first_suggestion_or_not_at_all(numbers, expected):
    """So that no later suggestion seems dear: by what they take the default chooses."""
    code = (
        "import sys, rung\n"
        "def seen(config): print('scipy.stats' in sys.modules); return {'loss': config['x0']}\n"
        f"space = {{f'x{{i}}': rung.Float(0.0, 1.0) for i in range({numbers})}}\n"
        "rung.tune(seen, space, sampler='gp', trials=8, quiet=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) == {str(expected)}
