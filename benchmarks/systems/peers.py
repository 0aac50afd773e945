"""The peers, each at the setting that it recommends, as systems; see `benchmarks/peers/scripts`."""

from __future__ import annotations

from functools import partial
from typing import Final

from benchmarks.systems import System
from benchmarks.systems.clock import search


def _peer(peer: str, note: str, model: str, multi_fidelity: bool = True, option: str = "") -> System:
    run = partial(search, peer=peer, multi_fidelity=multi_fidelity, option=option)
    return System(run, note, model, multi_fidelity)


ENTRIES: Final = {
    "optuna": _peer("optuna", "Optuna 5: TPE, Hyperband pruner where there is a resource", "density"),
    "optuna gp": _peer("optuna", "Optuna 5: GPSampler", "process", False, "gp"),
    "hpbandster": _peer("hpbandster", "HpBandSter 0.7.4: BOHB", "density"),
    "smac": _peer("smac", "SMAC 3: random forest, with Hyperband where there is a resource", "forest"),
    "smac gp": _peer("smac", "SMAC 3: BlackBoxFacade, a Gaussian process", "process", False, "gp"),
    "dehb": _peer("dehb", "DEHB 0.1.2", "evolution"),
    "syne-tune": _peer("syne-tune", "Syne Tune 0.16: CQR, under ASHA where there is a resource", "boosting"),
    "neps": _peer("neps", 'NePS: "auto", Bayesian optimisation or Hyperband', "process"),
    "ax": _peer("ax", "Ax 1: its client's default, a Gaussian process", "process", False),
}
