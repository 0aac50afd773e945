"""Recurrent cells on WikiText-2 pieces: searched, random, DARTS' published one, and an LSTM of equal size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final

import numpy as np

from benchmarks.given import given
from benchmarks.nas.pictures import random_cell
from benchmarks.nas.rows import Row

CELLS: Final = ("asap", "darts1", "darts", "random", "random-cell", "published", "lstm")
PUBLISHED: Final = {  # DARTS' second-order cell (Liu, Simonyan, Yang 2019, figure 5)
    "recurrent": [
        ["sigmoid", 0],
        ["relu", 1],
        ["relu", 1],
        ["identity", 1],
        ["tanh", 2],
        ["sigmoid", 5],
        ["tanh", 3],
        ["relu", 5],
    ],
    "concat": [1, 2, 3, 4, 5, 6, 7, 8],
}


@cache
def corpus(quick: bool) -> Any:
    """WikiText-2's validation text: eight tenths to learn from, one to stop by, one to test on.

    Raises:
        Unavailable: RUNG_DATA is not set.
    """
    from rung.nas.data.text import read_text

    source = given("text/wikitext2_valid.txt")
    return read_text(str(source), vocabulary=200 if quick else 1000)


def recipe(quick: bool) -> Any:
    """The preset `tiny`; shorter for a look."""
    from rung.nas.recurrent.presets import LANGUAGE_PRESETS

    tiny = LANGUAGE_PRESETS["tiny"]
    short = {"epochs": 1, "words": 5000, "hidden": 8, "retrain_hidden": 8, "retrain_epochs": 1}
    return replace(tiny, **short) if quick else tiny


def text_jobs(seeds: list[int], quick: bool) -> Iterator[tuple[str, int, Callable[[], Row]]]:
    """(what, seed, call): all cells of a seed before the next."""
    for seed in seeds:
        for name in CELLS:
            yield name, seed, lambda name=name, seed=seed: _row(name, seed, quick)


def _row(name: str, seed: int, quick: bool) -> Row:
    from rung.nas.genotype import Genotype
    from rung.nas.recurrent.task import LanguageTask

    settings = recipe(quick)
    task = LanguageTask(corpus(quick), settings, seed=seed)
    row: Row = {"what": name, "seed": seed, "seconds": 0.0, "gap_outputs": None}
    if name == "lstm":
        return {**row, **_lstm(task, settings, seed)}
    form = {"published": PUBLISHED, "random-cell": random_cell(seed, "recurrent")}.get(name)
    if form is None:
        row, form = _searched(name, seed, quick)
    genotype = Genotype.from_dict(form)
    began = time.perf_counter()
    scores, _ = task.retrain(genotype, settings, seed)
    parameters, _ = task.size(genotype, settings)
    trained = round(time.perf_counter() - began, 1)
    loss = float("nan") if scores is None else scores.loss
    return {
        **row,
        "genotype": form,
        "perplexity": round(float(np.exp(loss)), 3),
        "parameters": parameters,
        "retrain_seconds": trained,
    }


def _searched(name: str, seed: int, quick: bool) -> tuple[Row, dict[str, Any]]:
    from rung.nas.comparing import unstopped
    from rung.nas.searching import search

    settings = recipe(quick)
    short: dict[str, Any] = {"words": settings.words, "hidden": settings.hidden} if quick else {}
    if name == "random":
        short["samples"] = 5 if quick else 30
    found = search(
        corpus(quick),
        cell="rnn",
        strategy=name,
        epochs=settings.epochs,
        seed=seed,
        retrain=False,
        settings=short,
    )
    result = unstopped(found)
    row: Row = {
        "what": name,
        "seed": seed,
        "seconds": round(result.cost["seconds"], 2),
        "passes": result.cost["passes"],
        "images": result.cost["images"],
        "searched": result.perplexity["searched"],
        "derived": result.perplexity["derived"],
        "gap_outputs": result.relaxation_gap.outputs,
        "notes": list(result.notes),
    }
    return row, result.genotype.to_dict()


def _lstm(task: Any, settings: Any, seed: int) -> Row:
    """An LSTM with as many parameters, trained in the same way."""
    import torch

    from rung.nas.counting import parameters
    from rung.nas.data.text import batchify
    from rung.nas.genotype import Genotype
    from rung.nas.recurrent.language import lstm_model
    from rung.nas.recurrent.lstm import lstm_width
    from rung.nas.recurrent.training import evaluated, train

    wanted, _ = task.size(Genotype.from_dict(PUBLISHED), settings)
    vocabulary = len(task.corpus.vocabulary)
    torch.manual_seed(seed)
    training = settings.training
    model = lstm_model(vocabulary, lstm_width(wanted, vocabulary), training.dropouts)
    began = time.perf_counter()
    done = train(model, task.corpus.train[: settings.words], task.corpus.valid, training, seed=seed)
    loss = evaluated(done.model, batchify(task.corpus.test, 10), training.bptt)
    return {
        "perplexity": round(float(np.exp(loss)), 3),
        "parameters": parameters(model),
        "retrain_seconds": round(time.perf_counter() - began, 1),
        "genotype": None,
    }
