"""Language models of recurrent cells, trained from scratch and kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rung.errors import DataError, SpaceError, UserError
from rung.nas.data.text import Corpus, batchify
from rung.nas.genotype import Genotype
from rung.nas.recurrent.masks import Dropouts
from rung.nas.recurrent.presets import TrainingRecipe
from rung.nas.recurrent.training import evaluated
from rung.nas.retraining_files import checkpoint_of
from rung.nas.retraining_text import TextTick, load_language_model, retrain_text

torch.set_num_threads(1)

CELL = Genotype.from_dict({"recurrent": [["tanh", 0], ["relu", 1]], "concat": [1, 2]})
RECIPE = TrainingRecipe(
    hidden=8,
    rows=4,
    bptt=6,
    spread=1.0,
    epochs=3,
    rate=2.0,
    dropouts=Dropouts(0.1, 0.1, 0.1, 0.1),
    patience=1,
)


def corpus(seed: int = 0) -> Corpus:
    """Words that follow each other in a circle, but for a few."""
    rng = np.random.default_rng(seed)
    ids = np.where(rng.random(600) < 0.05, rng.integers(0, 5, 600), np.arange(600) % 5).astype(np.int64)
    return Corpus("circle", ids[:400], ids[400:500], ids[500:], tuple("abcde"))


def stopping(epochs: int) -> object:
    def watch(tick: TextTick) -> None:
        if tick.epoch.number == epochs:
            raise KeyboardInterrupt

    return watch


def test_nas_text_retraining_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = retrain_text(CELL, corpus(), RECIPE, seed=1, device="cpu", out=tmp_path / "whole.pt")
    out = tmp_path / "model.pt"
    with pytest.raises(KeyboardInterrupt):
        retrain_text(CELL, corpus(), RECIPE, seed=1, device="cpu", out=out, watch=stopping(1))  # type: ignore[arg-type]
    assert not out.exists()
    found = retrain_text(CELL, corpus(), RECIPE, seed=1, device="cpu", out=out, resume=True)
    assert found.epochs == whole.epochs
    assert found.loss == whole.loss
    assert not checkpoint_of(out).exists()
    one, other = (load_language_model(path)[0].state_dict() for path in (out, tmp_path / "whole.pt"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_nas_text_retraining_is_read_again(tmp_path: Path) -> None:
    out = tmp_path / "model.pt"
    found = retrain_text(CELL, corpus(), replace(RECIPE, epochs=1), device="cpu", out=out)
    model, words = load_language_model(out)
    assert words == tuple("abcde")
    assert evaluated(model, batchify(corpus().test, 10), RECIPE.bptt) == pytest.approx(found.loss, abs=1e-6)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    torch.save({"x": 1}, out)
    with pytest.raises(DataError, match="no language model"):
        load_language_model(out)


def test_nas_text_retraining_refuses_anothers_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "model.pt"
    with pytest.raises(KeyboardInterrupt):
        retrain_text(CELL, corpus(), RECIPE, device="cpu", out=out, watch=stopping(1))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="--resume"):
        retrain_text(CELL, corpus(), RECIPE, device="cpu", out=out)
    with pytest.raises(SpaceError, match=r"another hidden \(8 there, 9 here\)"):
        retrain_text(CELL, corpus(), replace(RECIPE, hidden=9), device="cpu", out=out, resume=True)
    with pytest.raises(SpaceError, match="another data"):
        retrain_text(CELL, corpus(1), RECIPE, device="cpu", out=out, resume=True)


@pytest.mark.parametrize("harm", ["torn", "words", "network"])
def test_nas_text_retraining_tells_of_a_damaged_checkpoint(harm: str, tmp_path: Path) -> None:
    out = tmp_path / "model.pt"
    kept = checkpoint_of(out)
    with pytest.raises(KeyboardInterrupt):
        retrain_text(CELL, corpus(), RECIPE, device="cpu", out=out, watch=stopping(1))  # type: ignore[arg-type]
    if harm == "torn":
        kept.write_bytes(kept.read_bytes()[:200])
    elif harm == "words":
        kept.write_text("a checkpoint\n", encoding="utf-8")
    else:
        torch.save({"format": "rung network 1"}, kept)
    with pytest.raises(DataError, match=r"model\.pt\.checkpoint .*: remove it, and .*--resume"):
        retrain_text(CELL, corpus(), RECIPE, device="cpu", out=out, resume=True)
    assert kept.exists()


def test_nas_text_retraining_needs_time_for_an_epoch() -> None:
    with pytest.raises(UserError, match="under one epoch"):
        retrain_text(CELL, corpus(), RECIPE, device="cpu", budget=1e-6)
