"""Peers of rung, each in an environment of its own: `make peers` makes them, `call.py` asks them.

They are no dependency of rung, nor of its tests. What a benchmark says of a peer comes from running it.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Peer(NamedTuple):
    """A peer: what pip installs, and what of it is compared."""

    name: str
    requirements: tuple[str, ...]
    note: str


_ROWS: Final = (
    Peer(
        "optuna",
        ("optuna>=5,<6", "cmaes", "scipy", "torch>=2.6,<2.14"),
        "TPE, CMA-ES, pruners; torch is for its GPSampler only",
    ),
    Peer(
        "hpbandster",
        ("hpbandster==0.7.4", "statsmodels", "numpy<2.5"),
        "the reference of BOHB; not maintained since 2022",
    ),
    Peer("smac", ("smac>=2.4,<3",), "the reference of SMAC; builds pyrfr, which needs swig and a compiler"),
    Peer("dehb", ("dehb==0.1.2",), "the reference of DEHB"),
    Peer(
        "syne-tune",
        ("syne-tune==0.16.0", "huggingface_hub"),
        "conformal quantile regression, ASHA, PBT, median rule; its import needs huggingface_hub",
    ),
    Peer(
        "neps",
        ("neural-pipeline-search>=0.17,<0.18", "torch>=2.6,<2.15"),
        "Bayesian optimisation, Hyperband",
    ),
    Peer("ax", ("ax-platform>=1.3,<2", "torch>=2.6,<2.14"), "BoTorch's Gaussian processes, by Meta's client"),
)
PEERS: Final = {row.name: row for row in _ROWS}
