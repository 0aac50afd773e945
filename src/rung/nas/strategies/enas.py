"""ENAS (Pham et al. 2018): a controller draws architectures, all of which share their weights.

Two steps in turn (section 2.2): one of the shared weights, by a single architecture that the controller draws
(equation 1 with M = 1), and one of the controller by REINFORCE, with the reward of another one on samples
that weights do not learn from. In the end many are drawn and judged with the shared weights, and the best is
derived (section 2.3).

Where it differs from the paper, whose steps of either kind are taken epoch by epoch, the controller's fewer:
here a step of the one follows a step of the other, as in all strategies of this loop. The inputs of a node
are different ones, as a genotype has them, drawn by a softmax of their own. The weights learn as the recipe
says. Candidates are judged on eight batches of the alphas' samples, where the paper takes one: as in steps of
the controller, not with running statistics, which are of many architectures' activations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from rung.nas.choice import Chosen, one_hot
from rung.nas.controller import Controller, Drawn, Pick, greedy, sampled
from rung.nas.costs import expected
from rung.nas.devices import average
from rung.nas.genotype import Genotype
from rung.nas.hearing import Heard
from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Space
from rung.nas.strategies.base import SCORED, Alphas, Ending, Passes, Turn
from rung.nas.strategies.bilevel import leave
from rung.nas.strategies.darts import FirstOrder
from rung.nas.strategies.random_search import admitted, judged_words, judging_words
from rung.nas.supernet import frozen_statistics
from rung.nas.task import Mixed, Net, Task, Weighted

BASELINE: Final = "controller/baseline"
_PREFIX: Final = "controller/"
_TEXT: Final = 80.0  # of a text the reward is this by the perplexity (section 3.1)
_SHARES: Final = 50  # architectures by which the probabilities of operations are told
_JUDGED: Final = 8  # batches
_TRIES: Final = 100  # draws of the controller for one within the limits


@dataclass(frozen=True)
class Enas(FirstOrder):
    """A controller and shared weights, which learn in turn.

    The alphas are the controller's weights ("controller/..."), and "controller/baseline": the moving average
    of rewards, not a number before the first.

    Attributes:
        hidden, logit_temperature, tanh_constant: of the controller, see `rung.nas.controller.Controller`; the
            paper's LSTM has 100 units (section 2.1), and 5 and 2.5 (section 3.2).
        entropy_weight: what an architecture's -log p, by decision and in nats, adds to its reward: in
            expectation the controller's entropy. The paper has 0.1 for pictures, 1e-4 for text, and does not
            say whether of a sum.
        baseline_decay: of the moving average of rewards, for which the paper has no figure.
        samples: architectures that are drawn in the end, of which each is judged once.
        price: what an architecture's cost takes from its reward, in training and in the end: cost by
            operation in units of the whole supernet, and its weight; see `rung.nas.costs.Costs.weighted`.
    """

    name: str = "enas"
    form: str = "plain"
    hidden: int = 64
    logit_temperature: float = 5.0
    tanh_constant: float = 2.5
    entropy_weight: float = 0.1
    baseline_decay: float = 0.95
    samples: int = 100
    price: Weighted | None = None

    @property
    def controller(self) -> Controller:
        """How it draws."""
        return Controller(self.hidden, self.logit_temperature, self.tanh_constant)

    def begin(self, space: Space, seed: int) -> Alphas:
        """The controller's weights, uniform between -0.1 and 0.1, and no baseline yet."""
        weights = {_PREFIX + name: value for name, value in self.controller.begin(space, seed).items()}
        return {**weights, BASELINE: torch.tensor(math.nan)}

    def mixed(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """The architecture that the controller draws for the weights' step: a function of the moment."""
        return one_hot(space, self._drawn(space, alphas, alive, sampled(moment.generator("architecture"))))

    def settled(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """The architecture of the most probable decisions, one after the other."""
        return one_hot(space, self._drawn(space, alphas, alive, greedy))

    def probabilities(
        self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment
    ) -> Mapping[str, Tensor]:
        """By cell, (E, O): in which share of 50 architectures an operation is; the same noise each time."""
        pick = sampled(torch.Generator().manual_seed(0))
        drawn = [one_hot(space, self._drawn(space, alphas, alive, pick)).mixtures for _ in range(_SHARES)]
        return {c.name: torch.stack([each[c.name] for each in drawn]).mean(0) for c in space.cells}

    def step(self, turn: Turn) -> Passes:
        """REINFORCE (section 2.2) by the reward of one architecture on the alphas' batch: a forward pass."""
        weights = _weights(turn.alphas)
        pick = sampled(turn.moment.generator("controller"))
        drawn = self.controller.draw(weights, turn.space, pick, turn.net.alive)
        if not drawn.decisions:
            return Passes(0, 0)
        mixed = one_hot(turn.space, drawn.chosen)
        found = reward(turn.task, turn.net, mixed, turn.alphas_batch) - self._spent(mixed)
        baseline = turn.alphas[BASELINE]
        advantage = self._advantage(average(found), drawn, baseline)
        leaves = list(weights.values())
        leave(leaves, torch.autograd.grad(-advantage * drawn.log_probability, leaves, allow_unused=True))
        return Passes(1, turn.alphas_batch.size, mixed.active, work=1 / 3)

    def _advantage(self, found: float, drawn: Drawn, baseline: Tensor) -> float:
        """How much better than usual a reward is, entropy included; the baseline moves towards it."""
        total = found - self.entropy_weight * float(drawn.log_probability.detach()) / drawn.decisions
        if not math.isfinite(total):
            return 0.0
        before = float(baseline)
        before = total if math.isnan(before) else before
        baseline.fill_(self.baseline_decay * before + (1.0 - self.baseline_decay) * total)
        return total - before

    def observe(self, turn: Turn) -> Mapping[str, Any]:
        """The moving average of rewards, and how sure the controller is."""
        with torch.no_grad():
            drawn = self.controller.draw(_weights(turn.alphas), turn.space, greedy, turn.net.alive)
        sure = math.exp(float(drawn.log_probability) / max(drawn.decisions, 1))
        return {"reward": float(turn.alphas[BASELINE]), "sureness": sure}

    def overstayed(self, notes: Sequence[Mapping[str, Any]]) -> int | None:
        """Never."""
        return None

    def derive(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> Genotype:
        """The architecture of the most probable decisions; `finish` gives the best of many."""
        return space.genotype(self._drawn(space, alphas, alive, greedy))

    def ahead(self, space: Space, steps: int) -> float:
        """That each of `samples` architectures is judged, by forward passes where a step has four thirds."""
        return self.samples * min(_JUDGED, steps) / 3 / (steps * 4 / 3) * (1 - SCORED)

    def finish(self, ending: Ending) -> Genotype:
        """The best of those that the controller draws, by the shared weights; the earlier one in ties.

        One that is drawn again is not judged again. Of fewer where there is no time for all, or Ctrl-C is
        heard; where there is none, the first.
        """
        generator = ending.moment.generator("candidates")
        known: set[str] = set()
        chosen, judged = self._admitted(ending, generator), 0
        best: tuple[float, Chosen] = -math.inf, chosen
        with suppress(Heard):
            while judged < self.samples and ending.more():
                ending.say(judging_words(judged, self.samples))
                key = repr(sorted(chosen.items()))
                if key not in known:
                    best = max(best, (self._judged(ending, chosen), chosen), key=lambda pair: pair[0])
                    known.add(key)
                judged += 1
                chosen = self._admitted(ending, generator) if judged < self.samples else chosen
        if judged < self.samples:
            ending.tell(judged_words(judged, self.samples))
        return ending.space.genotype(best[1])

    def _judged(self, ending: Ending, chosen: Chosen) -> float:
        """The mean reward on the alphas' first batches, the same for all: in training mode."""
        assert ending.task is not None
        ending.net.train()
        mixed = one_hot(ending.space, chosen)
        some = itertools.islice(ending.task.pairs(ending.moment.epoch), _JUDGED)
        found = [reward(ending.task, ending.net, mixed, batch) for _, batch in some]
        return average(sum(found) / len(found)) - self._spent(mixed)

    def _spent(self, mixed: Mixed) -> float:
        """The price of an architecture."""
        return 0.0 if self.price is None else float(expected(self.price, mixed.mixtures))

    def _admitted(self, ending: Ending, generator: torch.Generator) -> Chosen:
        """One within the limits: by the controller, or, where it hardly finds any, by lot."""
        for _ in range(_TRIES):
            chosen = self._drawn(ending.space, ending.alphas, ending.net.alive, sampled(generator))
            if ending.admits(chosen):
                return chosen
        return admitted(ending, generator)

    def _drawn(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], pick: Pick) -> Chosen:
        with torch.no_grad():
            return self.controller.draw(_weights(alphas), space, pick, alive).chosen


def reward(task: Task, net: Net, mixed: Mixed, batch: Any) -> float:
    """How good an architecture is on a batch with the shared weights, normalised by the batch.

    Returns:
        Of pictures the share that it classifies rightly; else 80 by the perplexity (section 3.1).
    """
    said: list[Any] = []

    def call(*arguments: Any) -> Any:
        said.append(net(*arguments))
        return said[-1]

    with torch.no_grad(), frozen_statistics(net):
        loss = float(task.loss(call, mixed, batch))
    scores = said[0]
    if isinstance(scores, Tensor) and scores.ndim == 2 and batch.y.ndim == 1:
        return float((scores.argmax(1) == batch.y).double().mean())
    return _TEXT * math.exp(-loss) if math.isfinite(loss) else 0.0


def _weights(alphas: Alphas) -> dict[str, Tensor]:
    """The controller's, under its own names."""
    return {
        name.removeprefix(_PREFIX): value
        for name, value in alphas.items()
        if name.startswith(_PREFIX) and name != BASELINE
    }
