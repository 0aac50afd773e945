"""Fine-tuning where a frozen embedding says little: what is trained, on which rows, and what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rung.tabular.deadline import Deadline
from rung.tabular.fit import fit_table
from rung.tabular.model_file import load_model, save_model
from rung.tabular.predict import predict_table
from rung.tabular.pretrained import memory, tuning
from rung.tabular.pretrained.network import TEXT, Network
from rung.tabular.pretrained.networks import load
from rung.tabular.pretrained.source import Source, locate
from rung.tabular.pretrained.tuning import Lesson, digest_of, tunable, tune
from rung.tabular.search import Search
from support.tiny_models import make_bert, word_order

pytest.importorskip("transformers", reason="the tiny models are transformers' own")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return locate(str(make_bert(tmp_path_factory.mktemp("tuned") / "bert")), "c")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_RATE", 5e-3)


def _lesson(network: Network, rows: int) -> tuple[Lesson, list[str]]:
    frame = word_order(rows)
    texts = frame["text"].tolist()
    vectors = network.embed(texts, TEXT)
    return Lesson(
        lambda some: [texts[i] for i in some], vectors, (frame["target"] == "up").to_numpy(), 2
    ), texts


def test_only_biases_and_normalisations_are_trained_and_put_back(source: Source) -> None:
    network = load(source, "c")
    lesson, texts = _lesson(network, 60)
    before = {name: p.detach().clone() for name, p in network.module.named_parameters()}
    done = tune(network, TEXT, lesson, Deadline.after(600), 0)
    assert done.epochs >= 1
    assert done.weights is not None
    assert set(done.weights) == {name for name, p in before.items() if p.ndim == 1}
    for name, parameter in network.module.named_parameters():
        assert (parameter == before[name]).all(), name
    other = load(source, "c", done.weights)
    assert other is not network
    assert np.abs(other.embed(texts, TEXT) - lesson.vectors).max() > 1e-3
    np.testing.assert_allclose(network.embed(texts, TEXT), lesson.vectors, atol=1e-6)
    assert digest_of(done.weights) != digest_of({**done.weights, next(iter(done.weights)): np.zeros(3)})


def test_without_time_or_parameters_nothing_is_tuned(source: Source) -> None:
    network = load(source, "c")
    lesson, _ = _lesson(network, 60)
    done = tune(network, TEXT, lesson, Deadline.after(0), 0)
    assert done.weights is None
    assert done.epochs == 0
    assert done.seconds > 0
    assert not tunable(Network(network.runs))


def test_a_fit_tunes_on_rows_that_do_not_judge(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    datasets = []
    begin, run = tuning._Course.__init__, Search.run

    def course(self, network, what, lesson, seed):
        seen.append(set(lesson.batch(range(len(lesson.y)))))
        begin(self, network, what, lesson, seed)

    def search(self, plan, deadline, watch):
        datasets.append(self.dataset)
        run(self, plan, Deadline.after(1.0), watch)

    monkeypatch.setattr(tuning._Course, "__init__", course)
    monkeypatch.setattr(Search, "run", search)
    frame, url = word_order(230), f"sqlite:///{tmp_path}/rung.db"

    def fitted(budget: float):
        return fit_table(
            frame, "target", budget=budget, workers=1, include=["linear"], embed={"text": source.path},
            storage=url, study="mine", holdout=0.15,
        )  # fmt: skip

    result = fitted(40.0)
    (note,) = [one for one in result.notes if "embedded" in one]
    assert "fine-tuned to it on" in note
    assert "judge all trials, in place of folds" in note
    assert result.folds == 1
    assert result.held is not None
    judges = set(frame["text"].iloc[np.concatenate([result.valid, result.held.rows])])
    assert len(seen) == 1
    assert not seen[0] & judges, "the network has seen no row that scores"
    assert result.held.score > 0.9, "the frozen embedding has about 0.6"
    model = load_model(save_model(result.model, tmp_path / "m.rung"))
    memory._kept.clear()
    found = predict_table(model, frame)
    assert (found["prediction"] == frame["target"]).mean() > 0.85
    again = fitted(50.0)
    assert len(seen) == 1, "a study that goes on does not tune anew"
    assert any("used as it was tuned before" in note for note in again.notes)
    np.testing.assert_allclose(datasets[0].table.numbers, datasets[1].table.numbers, atol=2e-4)
