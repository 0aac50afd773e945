"""The search strategies in words: what each is called, what it does, its paper. Loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Described(NamedTuple):
    """A strategy in words.

    Attributes:
        title: as papers call it, within a sentence.
        line: what it does.
        paper: authors, year and title.
    """

    title: str
    line: str
    paper: str


_DARTS: Final = "Liu, Simonyan, Yang 2019, DARTS: Differentiable Architecture Search"
_RANDOM: Final = "Li, Talwalkar 2019, Random Search and Reproducibility for Neural Architecture Search"

GRADIENT: Final[Mapping[str, Described]] = MappingProxyType(
    {
        "random": Described(
            "random search with shared weights",
            "a random architecture a step trains the shared weights, then many are judged: the baseline",
            _RANDOM,
        ),
        "darts1": Described(
            "first-order DARTS", "a softmax over operations; alphas and weights descend in turn", _DARTS
        ),
        "darts": Described(
            "second-order DARTS", "the same, with the gradient through a step of the weights", _DARTS
        ),
        "asap": Described(
            "ASAP",
            "anneals and prunes operations and edges as it searches: what was searched is kept",
            "Noy et al. 2020, ASAP: Architecture Search, Anneal and Prune",
        ),
        "snas": Described(
            "SNAS",
            "a concrete sample a step, weights and alphas from one loss in one pass",
            "Xie et al. 2019, SNAS: Stochastic Neural Architecture Search",
        ),
        "gdas": Described(
            "GDAS",
            "one hard sample a step, whose operations alone are computed",
            "Dong, Yang 2019, Searching for a Robust Neural Architecture in Four GPU Hours",
        ),
        "pc_darts": Described(
            "PC-DARTS",
            "a quarter of the channels is mixed, edges have weights of their own",
            "Xu et al. 2020, PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search",
        ),
        "p_darts": Described(
            "P-DARTS",
            "stages in which candidates become fewer, with dropout behind skips",
            "Chen et al. 2019, Progressive Differentiable Architecture Search",
        ),
        "darts_pt": Described(
            "DARTS-PT",
            "chooses an operation by what its removal costs, not by its alpha",
            "Wang et al. 2021, Rethinking Architecture Selection in Differentiable NAS",
        ),
        "fair": Described(
            "FairDARTS",
            "sigmoids instead of a softmax, so that operations do not compete",
            "Chu et al. 2020, Fair DARTS: Eliminating Unfair Advantages in Differentiable NAS",
        ),
        "enas": Described(
            "ENAS",
            "a controller draws an architecture a step, and learns which do better with the shared weights",
            "Pham et al. 2018, Efficient Neural Architecture Search via Parameter Sharing",
        ),
    }
)
"""By the names of `--strategy`."""

COMPLETE: Final[Mapping[str, Described]] = MappingProxyType(
    {
        "random_retraining": Described(
            "random search",
            "each architecture is trained on its own; no memory but of what was tried",
            _RANDOM,
        ),
        "evolution": Described(
            "regularised evolution",
            "one mutation of the best of a few; the oldest dies",
            "Real et al. 2019, Regularized Evolution for Image Classifier Architecture Search",
        ),
        "reinforce": Described(
            "REINFORCE",
            "a policy of independent choices, or an LSTM's, moved towards what did better than usual",
            "Williams 1992, Simple Statistical Gradient-Following Algorithms",
        ),
        "pnas": Described(
            "PNAS",
            "cells grow node by node, a predictor chooses which are trained",
            "Liu et al. 2018, Progressive Neural Architecture Search",
        ),
        "bananas": Described(
            "BANANAS",
            "mutations of the best, chosen by Thompson sampling from a predictor's ensemble",
            "White, Neiswanger, Savani 2021, BANANAS: Bayesian Optimization with Neural Architectures",
        ),
    }
)
"""Each network trained on its own: by the names of `--strategy` and `rung.nas.discrete.table.DISCRETE`."""


def strategy_title(name: str) -> str:
    """As papers call it; a name that is not known is its own."""
    found = GRADIENT.get(name) or COMPLETE.get(name)
    return found.title if found else name
