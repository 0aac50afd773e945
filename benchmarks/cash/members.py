"""What decisions 20 and 22 rest on: folds' models, one of all rows, or both; temperatures before weights.

    python -m benchmarks.cash.members rows --tables segment,vehicle,vowel
    python -m benchmarks.cash.members sure --tables car,digits,vowel

`rows` prints the test loss of each learner's first configuration by how it was fitted, as a share of the mean
of five folds' models, without a deadline, and the geometric means over the tables at the end ("3 folds, all
rows" is half and half). `sure` searches each table for `--budget` seconds, and prints the
test log loss of four ways to weigh its trials. A minute and more for a table; nothing is kept.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.cash.tables import Parts, Table, chosen, split
from rung.tabular import conclude
from rung.tabular.deadline import Deadline
from rung.tabular.decide import SINGLE, fit_temperature, tempered
from rung.tabular.ensemble import mix, weigh
from rung.tabular.evaluate import evaluate, load_pipelines, quietly
from rung.tabular.fit import fit_table
from rung.tabular.learners.table import defaults, learners
from rung.tabular.metrics import METRICS
from rung.tabular.pipeline import Order, fit_pipeline
from rung.tabular.plan import Scheme, make_scheme
from rung.tabular.ready import Ready, make_ready
from rung.tabular.request import Request
from rung.tabular.search import traits_of
from rung.tabular.splits import make_split

Floats = NDArray[np.float64]
LEARNERS: Final = "forest,extra_trees,svm,linear,neighbors,lightgbm,catboost,mlp,real_mlp"
_EVER: Final = Deadline(math.inf)
_LOG_LOSS: Final = METRICS["log_loss"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cash.members", description=__doc__)
    parser.add_argument("what", choices=("rows", "sure"))
    parser.add_argument("--tables", required=True, help="names, comma between")
    parser.add_argument("--learners", default=LEARNERS, help="for `rows`")
    parser.add_argument("--split", type=int, default=0, help="which rows are tested on")
    parser.add_argument("--budget", type=float, default=36.0, help="seconds, for `sure`")
    asked = parser.parse_args(arguments)
    found: dict[str, list[dict[str, float]]] = {}
    for table in chosen(asked.tables.split(",")):
        parts = split(table, asked.split)
        if asked.what == "sure":
            _print(table.name, sure(table, parts, asked.budget))
            continue
        ready = _ready(table, parts)
        for name in asked.learners.split(","):
            found.setdefault(name, []).append(rows(ready, parts, name))
            _print(f"{table.name} {name}", found[name][-1])
    for name, all_of in found.items():
        means = {how: math.exp(np.mean([math.log(one[how]) for one in all_of])) for how in all_of[0]}
        _print(f"{len(all_of)} tables {name}", means)
    return 0


def rows(ready: Ready, parts: Parts, name: str) -> dict[str, float]:
    """Test losses by how a learner's first configuration was fitted, over that of five folds' models."""
    dataset, learner = ready.dataset, learners()[name]
    config = next(iter(defaults(learner, traits_of(dataset))))
    loss = _loss(ready, parts)
    test, y = ready.encoder.transform(parts.test), np.asarray(dataset.y, dtype=float)
    found, known, means = {}, {}, {}
    with quietly():
        for count in (3, 5, 8):
            folds = make_split(y, dataset.classes, count, 0.2, 0, dataset.split.groups).folds
            some = replace(dataset, split=replace(dataset.split, folds=folds, number=count))
            outcome = evaluate(some, config, len(dataset), 1, _EVER)
            predictions = [pipeline.predict(test) for pipeline in outcome.pipelines]
            means[count] = np.mean(predictions, axis=0)
            found[f"{count} folds"] = loss(means[count])
            if count == 5:
                known, found["2 of 5"] = dict(outcome.known), loss(np.mean(predictions[:2], axis=0))
        order = Order(learner, config, dataset.sizes, 0, _EVER, known, quantile=dataset.quantile)
        whole = fit_pipeline(order, dataset.table, y, dataset.classes).pipeline.predict(test)
        found["all rows"] = loss(whole)
        for count, mean in means.items():
            found[f"{count} folds, all rows"] = loss((mean + whole) / 2)
    return {how: value / found["5 folds"] for how, value in found.items()}


def sure(table: Table, parts: Parts, budget: float) -> dict[str, float]:
    """Test log losses of ways to weigh the same trials: temperatures of none, the ensemble, each, or both."""
    kept: dict[str, Any] = {}
    choose = conclude.choose_quick

    def chosen_of(search: Any, saved: Any, *rest: Any) -> Any:
        kept.update(
            saved=saved, models={o.trial: load_pipelines(search.study.folder, o.trial)[0] for o in saved}
        )
        ensemble = choose(search, saved, *rest)
        kept.update(valid=ensemble.valid, y=search.dataset.y[ensemble.valid])
        return ensemble

    with mock.patch.object(conclude, "choose_quick", chosen_of):
        result = fit_table(parts.train, table.target, budget=budget, task=table.task, workers=1)
    test = result.model.encoder.transform(parts.test)
    y, best = kept["y"], sorted(kept["saved"], key=lambda one: one.score)
    best = [one for one in best if len(one.prediction) == len(y)][:25]
    valid = [one.prediction for one in best]
    unseen = [np.mean([p.predict(test) for p in kept["models"][one.trial]], axis=0) for one in best]
    each = [fit_temperature(p, y, _LOG_LOSS, prior=SINGLE) for p in valid]
    true = result.model.task.encode(parts.y)
    found = {}
    for name, given in (("plain", [1.0] * len(best)), ("each", each)):
        before, after = ([tempered(p, t) for p, t in zip(ps, given, strict=True)] for ps in (valid, unseen))
        weights = weigh(before, y, _LOG_LOSS, 0, _EVER)
        last = fit_temperature(mix(before, weights), y, _LOG_LOSS)
        found[name] = _LOG_LOSS.loss(true, mix(after, weights))
        found[f"{name}, and the ensemble"] = _LOG_LOSS.loss(true, tempered(mix(after, weights), last))
    return found


def _ready(table: Table, parts: Parts) -> Ready:
    def scheme(rows: int, width: int, classes: int) -> Scheme:
        return make_scheme(rows, width, classes, 30.0, 2)

    return make_ready(parts.train, table.target, Request(task=table.task), 0, None, scheme)


def _loss(ready: Ready, parts: Parts) -> Callable[[Floats], float]:
    y, judge = ready.task.encode(parts.y), ready.dataset.judge
    return lambda prediction: judge.loss(y, prediction)


def _print(what: str, found: dict[str, float]) -> None:
    print(what, "  ".join(f"{how}: {value:.4f}" for how, value in found.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
