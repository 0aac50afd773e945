"""Searches over complete networks: a trial is a network, and what is next is a function of the log."""

from __future__ import annotations

import os
import random
import signal
import time
import zlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rung.errors import DataError, UserError
from rung.executors import make_executor
from rung.executors.setup import Setup
from rung.nas.complete import CompleteSearch, NothingTrained, Progress
from rung.nas.costs import Costs
from rung.nas.discrete.architectures import Architectures, configuration, parameters
from rung.nas.discrete.configurations import genotype_of
from rung.nas.discrete.history import explore
from rung.nas.discrete.table import DISCRETE
from rung.nas.genotype import Genotype
from rung.nas.images import ImageTask
from rung.nas.loop import Diverged
from rung.nas.page import render_page
from rung.nas.planning import Request
from rung.nas.result import SearchResult
from rung.nas.retraining_files import DamagedFile
from rung.nas.search_study import METRIC
from rung.nas.searching import search
from rung.nas.space import SPACES, form_of
from rung.nas.task import Scores
from rung.space import compile_space
from rung.space.draws import Rng
from rung.storage import open_storage
from rung.trials.events import Event, JobStarted, JobStopped
from rung.trials.history import History
from support.pictures import halves

torch.set_num_threads(1)

FEW = {"retrain_channels": 4, "retrain_layers": 3, "retrain_batch": 8, "retrain_epochs": 2}


@pytest.fixture(scope="module")
def pictures() -> Any:
    return halves(48)


def planted(genotype: Genotype) -> float:
    """An accuracy from 0 to 1, as the genotype has it."""
    return zlib.crc32(genotype.to_text().encode()) % 1000 / 1000


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Genotype]:
    """No network is trained: its accuracy is planted. What was asked to be trained, in order."""
    asked: list[Genotype] = []

    def train(self: ImageTask, genotype: Genotype, recipe: Any, **_: Any) -> Any:
        asked.append(genotype)
        return SimpleNamespace(loss=1.0, accuracy=planted(genotype), epochs=recipe.retrain_epochs)

    def retrain(self: ImageTask, *_: Any) -> tuple[Scores, list[str]]:
        return Scores(1.0, 0.25), []

    monkeypatch.setattr(ImageTask, "train", train)
    monkeypatch.setattr(ImageTask, "retrain", retrain)
    return asked


def inline(writer: Any, objective: Any) -> Any:
    """An executor whose jobs see what this process has patched."""
    return make_executor("inline", Setup(objective, METRIC, 1, writer.log.folder))


def found(pictures: Any, **more: Any) -> SearchResult:
    given = {"strategy": "evolution", "space": "tiny", "settings": FEW, "networks": 9, **more}
    return search(pictures, **given)


def comparable(result: SearchResult) -> Any:
    """Without what the clock says."""
    tried = [{**one, "seconds": 0.0} for one in result.tried]
    return result.genotype, result.accuracy, tried, {**result.cost, "seconds": 0.0}


def test_the_budget_counts_from_when_someone_began_to_wait(
    pictures: Any, trained: list[Genotype], tmp_path: Any
) -> None:
    """Of 100 s the search may have 75; 60 are over, so that 15 are left."""
    url = str(tmp_path / "s.db")
    request = Request(pictures, "evolution", space="tiny", settings=FEW, networks=3, budget=100.0)
    searching = CompleteSearch(request, url, "s")
    searching.count_from(time.monotonic() - 60.0)
    searching.run()
    store = open_storage(url)
    limit = History().fold_all(list(store.read("s"))).limits.seconds
    store.close()
    assert limit is not None and 5.0 < limit < 15.1  # noqa: PT018


@pytest.mark.parametrize("name", sorted(DISCRETE))
@pytest.mark.parametrize("space", ["s1", "nasbench201"])
def test_a_genotype_is_a_configuration_and_back(name: str, space: str) -> None:
    where = SPACES[space]
    compiled = compile_space(parameters(where))
    for genotype, _ in explore(DISCRETE[name], where, planted, 12, 0):
        config = configuration(where, genotype)
        compiled.from_mapping(config)
        assert genotype_of(where, config) == genotype


@pytest.mark.parametrize("name", sorted(DISCRETE))
def test_the_best_network_is_found_and_trained_once_more(
    name: str, pictures: Any, trained: list[Genotype], tmp_path: Any
) -> None:
    result = found(pictures, strategy=name, storage=str(tmp_path / "s.db"), study="s")
    assert (result.strategy, len(result.tried)) == (name, 9)
    assert trained == list(dict.fromkeys(trained))  # what comes again is known
    assert trained == list(dict.fromkeys(Genotype.from_dict(one["genotype"]) for one in result.tried))
    grown = [g for g in trained if all(len(cell.nodes) == 2 for _, cell in g.cells)]
    assert result.genotype == max(grown, key=planted)
    assert result.accuracy.searched == pytest.approx(planted(result.genotype))
    assert (result.accuracy.derived, result.accuracy.retrained) == (None, 0.25)
    assert result.cost["weight_passes"] == len(trained) * 2 * 3  # epochs of 24 pictures, 8 a step
    assert result.cost["images"] == 8 * result.cost["weight_passes"]
    page = render_page(result)
    assert page.count("<summary>chosen</summary>") == 1
    assert "the best, trained once more" in page
    assert "relaxation gap" not in page
    result.save(tmp_path / "cell.json")
    assert SearchResult.read(tmp_path / "cell.json") == result


@pytest.mark.parametrize("name", ["evolution", "pnas"])
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(
    name: str, pictures: Any, trained: list[Genotype], tmp_path: Any
) -> None:
    whole = found(pictures, strategy=name)

    def stop(seen: Progress) -> None:
        if seen.number == 5:
            os.kill(os.getpid(), signal.SIGINT)

    kept = {"strategy": name, "storage": str(tmp_path / "s.db"), "study": "s"}
    part = found(pictures, **kept, watch=stop)
    assert part.interrupted
    assert part.accuracy.retrained is None
    assert 4 <= len(part.tried) < 9
    del trained[:]
    rest = found(pictures, **kept)
    assert len(trained) <= 5
    assert comparable(rest) == comparable(whole)


def test_what_is_waited_for_is_said(pictures: Any, trained: list[Genotype]) -> None:
    request = Request(pictures, strategy="evolution", space="tiny", settings=FEW, networks=5)
    said: list[str] = []

    def stop(seen: Progress) -> None:
        if seen.number == 1:
            os.kill(os.getpid(), signal.SIGINT)

    assert CompleteSearch(request, "memory", None, stop).run(said.append).interrupted
    assert said[-1].startswith("stopping: trainings under way end their epoch")


def test_a_training_goes_on_in_the_middle(pictures: Any, tmp_path: Any) -> None:
    settings = {**FEW, "retrain_epochs": 4}
    whole = found(pictures, networks=2, settings=settings)
    epochs: list[tuple[int, int]] = []

    def stop(seen: Progress) -> None:
        epochs.append((seen.number, seen.epoch))
        if epochs == [(1, 1)]:
            os.kill(os.getpid(), signal.SIGINT)

    kept = {"networks": 2, "settings": settings, "storage": str(tmp_path / "s.db"), "study": "s"}
    with pytest.raises(NothingTrained, match="before the first network") as nothing:
        found(pictures, **kept, watch=stop)
    assert nothing.value.study == "s"
    (kept_file,) = tmp_path.rglob("*.checkpoint")
    assert kept_file.name == "0.pt.checkpoint"
    ended = epochs[-1][1]
    assert ended < 4
    del epochs[:]
    rest = found(pictures, **kept, watch=lambda seen: epochs.append((seen.number, seen.epoch)))
    assert epochs[0] == (1, ended + 1)  # not from its beginning
    assert comparable(rest) == comparable(whole)
    store = open_storage(str(tmp_path / "s.db"))
    history = History().fold_all(list(store.read("s")))
    assert [str(state) for state in history.states] == ["complete", "complete"]
    store.close()
    assert not list(tmp_path.rglob("*.checkpoint"))


def test_a_damaged_checkpoint_begins_its_network_anew(
    pictures: Any, trained: list[Genotype], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, asked = ImageTask.train, []

    def train(self: ImageTask, *given: Any, **more: Any) -> Any:
        asked.append(more["resume"])
        checkpoint = more["out"].with_name(more["out"].name + ".checkpoint")
        if len(asked) == 2:
            checkpoint.write_bytes(b"damaged")
            raise DataError(f"{checkpoint} cannot be written (the disk is full): give another --out")
        assert more["resume"] == checkpoint.exists()
        if more["resume"] and checkpoint.read_bytes() == b"damaged":
            raise DamagedFile(f"{checkpoint} cannot be read")
        return usual(self, *given, **more)

    monkeypatch.setattr(ImageTask, "train", train)
    kept = {"networks": 3, "storage": str(tmp_path / "s.db"), "study": "s"}
    with pytest.raises(UserError, match=r"network 2 cannot be kept: .*the disk is full.; mend that"):
        found(pictures, **kept)
    with pytest.warns(UserWarning, match="network 2 is begun again: its checkpoint is damaged"):
        result = found(pictures, **kept)
    assert asked == [False, False, True, False, False]
    assert [one["score"] is None for one in result.tried] == [False] * 3


def test_what_diverges_is_as_bad_as_the_worst(
    pictures: Any, trained: list[Genotype], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ImageTask.train

    def train(self: ImageTask, *given: Any, **more: Any) -> Any:
        one = usual(self, *given, **more)
        if len(trained) == 2:
            raise Diverged("the training loss is nan in epoch 1, step 1")
        return one

    monkeypatch.setattr(ImageTask, "train", train)
    result = found(pictures, networks=5)
    assert [one["score"] is None for one in result.tried] == [False, True, False, False, False]
    assert any("1 of 5 networks could not be trained: the training loss is nan" in n for n in result.notes)
    assert "the training loss is nan" in render_page(result)
    monkeypatch.setattr(ImageTask, "train", lambda *_, **__: (_ for _ in ()).throw(Diverged("it is nan")))
    with pytest.raises(UserError, match="no network could be trained: 3 of 3 failed with: it is nan"):
        found(pictures, networks=3)


def test_cost_is_a_limit_or_a_price(pictures: Any, trained: list[Genotype]) -> None:
    free = found(pictures, strategy="random_retraining")
    sizes = sorted(one["parameters"] for one in free.tried)
    most = sizes[2]
    limit = {**FEW, "most": most, "resource": "parameters"}
    limited = found(pictures, strategy="random_retraining", settings=limit)
    assert all(one["parameters"] <= most for one in limited.tried)
    priced = found(pictures, settings={**FEW, "price": 100.0, "resource": "parameters"})
    assert priced.parameters == min(one["parameters"] for one in priced.tried)
    assert all(one["score"] > one["error"] for one in priced.tried)
    assert ">score</th>" in render_page(priced)


def test_latency_is_measured_once(
    pictures: Any, trained: list[Genotype], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def costs(resource: str, space: Any, size: Any, *, derived: bool = False) -> Costs:
        """The skips of the second session take a second each, all else takes none."""
        measured.append(resource)
        column = 1 if len(measured) > 1 else 2
        edges = {c.name: np.eye(len(c.operations))[[column] * len(c.edges)] for c in space.cells}
        return Costs(0.5, edges, "seconds")

    monkeypatch.setattr("rung.nas.complete_plan.costs_of", costs)
    limit = {**FEW, "resource": "latency", "most": 2.5, "price": 0.1}

    def stop(seen: Progress) -> None:
        if seen.number == 4:
            os.kill(os.getpid(), signal.SIGINT)

    kept = {"settings": limit, "storage": str(tmp_path / "s.db"), "study": "s"}
    assert found(pictures, **kept, watch=stop).interrupted
    rest = found(pictures, **kept)
    assert measured == ["latency"]
    assert len(rest.tried) == 9
    for one in rest.tried:
        edges = Genotype.from_dict(one["genotype"]).to_text().count("sep_conv_3x3")
        assert edges <= 2
        assert one["score"] == pytest.approx(one["error"] + 0.1 * (0.5 + edges) / 10.5)


def test_several_networks_at_a_time_are_the_same_search_every_time(pictures: Any, tmp_path: Any) -> None:
    kept = {"networks": 4, "workers": 2, "storage": str(tmp_path / "s.db"), "study": "s"}
    seen: list[Progress] = []
    result = found(pictures, **kept, watch=seen.append)
    assert [(one.number, one.ended, one.done) for one in seen] == [(n, n, True) for n in range(1, 5)]
    assert seen[-1].best is not None
    assert seen[-1].best.genotype == result.genotype
    assert result.settings["strategy"]["workers"] == 2
    store = open_storage(str(tmp_path / "s.db"))
    history = History().fold_all(list(store.read("s")))
    store.close()
    assert history.identity.deterministic == 2
    assert not list(tmp_path.rglob("*.checkpoint"))
    again = found(pictures, networks=4, workers=2)
    assert comparable(again) == comparable(result)


class TwoAtATime:
    """Two slots whose jobs end in an order of chance, each run in this process when it is its turn."""

    name, workers = "two", 2

    def __init__(self, inner: Any, rng: random.Random) -> None:
        self.inner, self.rng = inner, rng
        self.jobs: dict[int, Any] = {}
        self.cancelled: set[int] = set()
        self.now, self.close = inner.now, inner.close

    @property
    def free_slots(self) -> int:
        return 2 - len(self.jobs)

    def submit(self, jobs: Any) -> None:
        self.jobs |= {job.trial: job for job in jobs}

    def cancel(self, trial: int) -> None:
        self.cancelled.add(trial)

    def poll(self, timeout: float | None) -> list[Event]:
        if not self.jobs:
            return []
        job = self.jobs.pop(self.rng.choice(sorted(self.jobs)))
        if job.trial in self.cancelled:
            return [JobStopped(job.trial, job.attempt)]
        self.inner.submit([job])
        events: list[Event] = []
        while not events or not self.inner.free_slots:
            events += self.inner.poll(None)
        return events


@pytest.mark.parametrize(("at", "chance"), [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (5, 0), (5, 1)])
def test_several_at_a_time_go_on_as_if_they_had_not_been_interrupted(
    at: int,
    chance: int,
    pictures: Any,
    trained: list[Genotype],
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random(chance)
    monkeypatch.setattr(
        "rung.study.run._engine", lambda writer, objective, *_: TwoAtATime(inline(writer, objective), rng)
    )
    given = {"workers": 2, "settings": {**FEW, "population": 3}}
    whole = found(pictures, **given)

    def stop(seen: Progress) -> None:
        if seen.ended == at:
            os.kill(os.getpid(), signal.SIGINT)

    kept = {**given, "storage": str(tmp_path / "s.db"), "study": "s"}
    part = found(pictures, **kept, watch=stop)
    assert part.interrupted
    assert at <= len(part.tried) < 9
    rest = found(pictures, **kept)
    assert not rest.interrupted
    assert comparable(rest) == comparable(whole)


def test_what_is_trained_right_now_is_not_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    space = SPACES["tiny"]
    drawn = explore(DISCRETE["random_retraining"], space, planted, 2, 0)
    asked = iter([drawn[0].genotype, drawn[1].genotype])
    strategy = SimpleNamespace(suggest=lambda *_: next(asked))
    monkeypatch.setattr("rung.nas.discrete.architectures.make", lambda *_: strategy)
    config = configuration(space, drawn[0].genotype)
    identity = SimpleNamespace(deterministic=2, metric="error")
    history: Any = SimpleNamespace(running={0: None}, states=[], config=lambda _: config, identity=identity)
    compiled = compile_space(parameters(space))
    sampler = Architectures(form_of(space), "random_retraining")
    suggestion = sampler.suggest(compiled, history, None, Rng(0, 1))  # type: ignore[arg-type]
    assert suggestion is not None
    assert genotype_of(space, compiled.to_mapping(suggestion.values)) == drawn[1].genotype


def test_a_network_that_cannot_be_kept_in_a_worker_ends_the_search(
    pictures: Any, trained: list[Genotype], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ImageTask.train
    full = DataError("0.pt.checkpoint cannot be written (the disk is full): give another --out")
    monkeypatch.setattr(ImageTask, "train", lambda *_, **__: (_ for _ in ()).throw(full))
    monkeypatch.setattr("rung.study.run._engine", lambda writer, objective, *_: inline(writer, objective))
    kept = {"networks": 3, "workers": 2, "storage": str(tmp_path / "s.db"), "study": "s"}
    with pytest.raises(UserError, match=r"network 1 cannot be kept: .*the disk is full.; mend that"):
        found(pictures, **kept)
    monkeypatch.setattr(ImageTask, "train", usual)
    assert [one["state"] for one in found(pictures, **kept).tried] == ["complete"] * 3


def test_a_network_that_is_trained_after_all_says_nothing_of_a_process_that_died(
    pictures: Any, trained: list[Genotype], tmp_path: Any
) -> None:
    kept = {"networks": 2, "storage": str(tmp_path / "s.db")}
    found(pictures, study="whole", **kept)
    store = open_storage(kept["storage"])
    events, row = list(store.read("whole")), store.find("whole")
    assert row is not None
    began = next(at for at, event in enumerate(events) if isinstance(event, JobStarted))
    store.create("died", events[: began + 1], row.summary).close()
    store.close()
    rest = found(pictures, study="died", **kept)
    assert [(one["state"], one["why"]) for one in rest.tried] == [("complete", "")] * 2


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"settings": {"channels": 8}}, "channels is of supernets"),
        ({"settings": {"populaton": 8}}, "has no setting 'populaton': it has population, sample"),
        (
            {"settings": {"population": 0}},
            "population of strategy 'evolution' is a whole number of at least 1",
        ),
        ({"settings": {"sample": 2.5}}, "whole number of at least 1, not 2.5"),
        ({"strategy": "reinforce", "settings": {"baseline_decay": 1.5}}, "above 0 and below 1, not 1.5"),
        ({"settings": {"resource": "latency", "most": 1e-9}}, "no architecture is within 1e-09 seconds"),
        ({"strategy": "asap", "networks": None, "workers": 2}, "trains one supernet, in one process"),
        ({"settings": {"most": 10}}, "no architecture"),
        ({"strategy": "asap", "networks": 3, "settings": {}}, "it takes no number of networks"),
        ({"budget": 0.01}, "a budget of 0.01 s is under the training of one network"),
    ],
)
def test_bad_input_is_a_sentence(more: Any, why: str, pictures: Any) -> None:
    with pytest.raises(UserError, match=why):
        found(pictures, **more)


def test_a_study_of_another_search_is_refused(pictures: Any, trained: list[Genotype], tmp_path: Any) -> None:
    kept = {"storage": str(tmp_path / "s.db"), "study": "s"}
    found(pictures, networks=2, **kept)
    for other in ({"strategy": "pnas"}, {"space": "s2"}, {"settings": {**FEW, "retrain_channels": 8}}):
        with pytest.raises(UserError, match="exists with other settings"):
            found(pictures, **{"networks": 2, **other}, **kept)


def test_several_processes_are_refused(pictures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.nas.complete.world", lambda: 2)
    with pytest.raises(UserError, match="start rung without torchrun"):
        CompleteSearch(Request(pictures, strategy="evolution"), "memory", None)
