"""Samplers without a model: `random`, `grid`, `sobol`; and `prior`, `transfer`, `auto`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from scipy.stats import kstest

from benchmarks.conformance.lab import Lab
from benchmarks.conformance.rule import Asked, Cannot, Outcome, Rule, expect
from rung.samplers.auto import TOPIC as CHOICE
from rung.samplers.auto import AutoSampler
from rung.samplers.base import Request
from rung.samplers.grid import GridSampler
from rung.samplers.prior import PriorSampler
from rung.samplers.random import RandomSampler
from rung.samplers.sobol import SobolSampler
from rung.samplers.tpe import TpeSampler
from rung.samplers.transfer import TOPIC, TransferSampler, earlier_of, share
from rung.samplers.transfer import _own as own_results
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Float, Integer
from rung.trials.events import Recorded

SQUARE: Final = compile_space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
TWELVE: Final = compile_space({"c": Categorical(["a", "b", "c"]), "n": Integer(1, 4)})


def _drawn() -> Outcome:
    space = compile_space({"x": Float(0.0, 1.0), "y": Float(1e-4, 1.0, log=True)})
    lab = Lab(sampler=RandomSampler(), space=space)
    found = np.array([lab.suggest(number).values for number in range(2000)])
    chances = [kstest(found[:, 0], "uniform").pvalue, kstest(1 + np.log10(found[:, 1]) / 4, "uniform").pvalue]
    text = f"2,000 draws, Kolmogorov and Smirnov: p = {chances[0]:.2f} (uniform), {chances[1]:.2f} (log)"
    return Outcome(text, min(chances) > 0.01)


def _grid() -> Outcome:
    lab = Lab(sampler=GridSampler(), space=TWELVE)
    found = []
    while (suggestion := lab.suggest()) is not None:
        found.append(suggestion.values)
        lab.trial(*suggestion[:1], 0.0)
    text = f"{len(set(found))} different ones of 12 in {len(found)} trials, then none"
    return Outcome(text, len(found) == len(set(found)) == 12)


def _read_grid(answer: Mapping[str, Any]) -> Outcome:
    text = f"{answer['different']} different ones of 12 in {answer['trials']} trials, then it stops"
    return Outcome(text, answer["different"] == answer["trials"] == 12)


def _sobol() -> Outcome:
    lab = Lab(sampler=SobolSampler(), space=SQUARE)
    return _cells([list(lab.suggest(number).values) for number in range(64)])


def _cells(points: list[list[float]]) -> Outcome:
    """Boxes of 1/64 of the square, in each of the seven shapes, that hold exactly one of 64 points."""
    found = np.array(points)
    filled = []
    for bits in range(7):
        across, down = 2**bits, 2 ** (6 - bits)
        cells = np.floor(found[:, 0] * across) * down + np.floor(found[:, 1] * down)
        filled.append(len(np.unique(cells)))
    text = f"64 points fill {filled.count(64)} of 7 partitions into 64 boxes"
    return Outcome(text + (f"; at most {max(filled)} boxes" if max(filled) < 64 else ""), filled == [64] * 7)


def _weights() -> Outcome:
    space = compile_space({"x": Float(0.0, 1.0, prior=None)})
    lab = Lab(sampler=PriorSampler(), space=space)
    found = [PriorSampler().weights(space, lab.history, Request(rung)).uniform for rung in (1, 3, 9, 27, 81)]
    text = "uniform with probability " + ", ".join(f"{w:.3f}" for w in found) + " at rungs 0 ... 4"
    return Outcome(text, np.allclose(found, [1 / (1 + 3**k) for k in range(5)]))


def _guard() -> Outcome:
    """An earlier study of the same problem, and one of its opposite."""
    found = []
    for sign in (1.0, -1.0):
        lab = Lab(sampler=TransferSampler("random"), space=SQUARE, resource=None)
        configs = [SQUARE.to_mapping(SQUARE.sample(9, number)) for number in range(60)]
        rows = [[config, sign * _bowl(config)] for config in configs]
        lab.history.fold(Recorded(TOPIC, {"study": "earlier", "rows": rows}))
        lab.random(20, _bowl)
        earlier = earlier_of(lab.history, SQUARE)
        assert earlier is not None
        found.append(share(SQUARE, lab.history, earlier, own_results(lab.history)))
    text = f"proposals from an earlier study: {found[0]:.2f} if it is alike, {found[1]:.2f} if it misleads"
    return Outcome(text, found[0] > 0.5 and found[1] == 0.0)


def _bowl(config: Mapping[str, Any]) -> float:
    return float((config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2)


def _choice() -> Outcome:
    """After the log says `tpe`, the default suggests what `tpe` does."""
    lab = Lab(sampler=AutoSampler(), space=SQUARE, resource=None).random(30, _bowl)
    lab.history.fold(Recorded(CHOICE, {"sampler": "tpe", "settings": {}}))
    tpe = Lab(sampler=TpeSampler(), space=SQUARE, resource=None).random(30, _bowl)
    same = [lab.suggest(30 + number) == tpe.suggest(30 + number) for number in range(5)]
    return expect(same, [True] * 5, "suggests what the sampler does that the log names, five times of five")


RULES: Final = (
    Rule(
        "random",
        "follows the prior",
        "each parameter is drawn from its own distribution",
        "Bergstra & Bengio 2012",
        _drawn,
    ),
    Rule(
        "grid",
        "each once",
        "every point of the grid is tried once",
        "Bergstra & Bengio 2012",
        _grid,
        (Asked("optuna", "grid", _read_grid),),
    ),
    Rule(
        "sobol",
        "a net",
        "scrambled, too, 2^m points are a (0, m, 2)-net: one in each box of 2^-m, in each shape",
        "Sobol 1967; Owen 1998",
        _sobol,
        (Asked("optuna", "sobol", lambda answer: _cells(answer["points"])),),
    ),
    Rule(
        "prior",
        "uniform part",
        "at rung k the uniform distribution has the weight 1 / (1 + eta^k)",
        "Mallik et al. 2023, section 5.1",
        _weights,
        (Cannot("optuna", "has no such method (PriorBand is in NePS)"),),
    ),
    Rule(
        "transfer",
        "a misleading study",
        "an earlier task counts by how well it ranks the observations of the new one",
        "Feurer et al. 2018 (RGPE's weights)",
        _guard,
        (Cannot("optuna", "has no transfer in its core"), Cannot("smac", "has an initial design only")),
    ),
    Rule(
        "auto",
        "choices are in the log",
        "rung's own: what is chosen is an event, and followed when replayed",
        "rung's promise",
        _choice,
    ),
)
