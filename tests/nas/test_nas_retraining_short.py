"""The short training of what was found: interrupted it goes on, and no trouble with it loses the cell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rung.errors import DataError, UserError
from rung.nas import retraining, retraining_short
from rung.nas import retraining_files as files
from rung.nas.data.text import Corpus
from rung.nas.recipe import PRESETS
from rung.nas.recipe_ranges import settable
from rung.nas.recurrent import retraining as retraining_text
from rung.nas.recurrent import short as short_text
from rung.nas.recurrent.presets import TrainingRecipe
from rung.nas.recurrent.retraining import retrain_text
from rung.nas.recurrent.training import Training
from rung.nas.result import SearchResult
from rung.nas.retraining_schedule import SCHEDULES, schedule_of
from rung.nas.searching import search
from rung.nas.strategies.table import STRATEGIES
from support.pictures import halves

torch.set_num_threads(1)

FEW = {"retrain_channels": 4, "retrain_layers": 3, "retrain_batch": 8, "retrain_epochs": 4}
WORDS = {"retrain_hidden": 6, "retrain_batch": 4, "retrain_epochs": 4, "bptt": 8, "rate": 2.0}
SUPERNET = {**FEW, "channels": 4, "layers": 3, "batch": 8}
KINDS: dict[str, dict[str, Any]] = {
    "supernet": {"strategy": "darts1", "space": "tiny", "settings": SUPERNET, "epochs": 1},
    "complete": {"strategy": "evolution", "space": "tiny", "settings": FEW, "networks": 1},
    "text": {"strategy": "evolution", "cell": "rnn", "settings": WORDS, "networks": 1},
}


class Killed(BaseException):
    """What nothing catches."""


def data(kind: str) -> Any:
    if kind != "text":
        return halves(48)
    ids = np.arange(240) % 5
    return Corpus("circle", ids[:160], ids[160:200], ids[200:], tuple("abcde"))


def found(kind: str, **more: Any) -> SearchResult:
    return search(data(kind), **{**KINDS[kind], **more})


def kept_here(written: list[str], after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process die when so many epochs of the last training have been kept."""
    write = files.write

    def counted(form: Any, path: Any) -> None:
        write(form, path)
        if path.name == "last.pt.checkpoint":
            written.append(path.name)
            if len(written) == after:
                raise Killed

    monkeypatch.setattr(files, "write", counted)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_in_its_last_training_a_search_goes_on_with_that(
    kind: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = found(kind)
    written: list[str] = []
    kept_here(written, 3, monkeypatch)
    with pytest.raises(Killed):
        found(kind, storage=str(tmp_path / "s.db"), study="s")
    rest = found(kind, storage=str(tmp_path / "s.db"), study="s")
    assert len(written) == 4  # of four epochs the last one was left
    assert (rest.genotype, rest.accuracy) == (whole.genotype, whole.accuracy)
    assert rest.perplexity == whole.perplexity
    assert not list(tmp_path.rglob("last.pt*"))


def test_a_last_training_with_other_settings_begins_anew(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    kept_here(written, 3, monkeypatch)
    with pytest.raises(Killed):
        found("supernet", storage=str(tmp_path / "s.db"), study="s")
    wide = {**SUPERNET, "retrain_channels": 8}
    rest = found("supernet", settings=wide, storage=str(tmp_path / "s.db"), study="s")
    assert len(written) == 3 + 4
    assert rest.accuracy == found("supernet", settings=wide).accuracy
    assert any(note.endswith("begun again: its checkpoint is of other settings") for note in rest.notes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("harm", ["torn", "flipped", "another"])
def test_a_damaged_checkpoint_of_the_last_training_is_left_aside(
    kind: str, harm: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_here([], 2, monkeypatch)
    with pytest.raises(Killed):
        found(kind, storage=str(tmp_path / "s.db"), study="s")
    (kept,) = tmp_path.rglob("last.pt.checkpoint")
    damage(kept, harm)
    rest, whole = found(kind, storage=str(tmp_path / "s.db"), study="s"), found(kind)
    assert (rest.accuracy, rest.perplexity) == (whole.accuracy, whole.perplexity)
    assert any(note.endswith("begun again: its checkpoint is damaged") for note in rest.notes)


def damage(path: Any, harm: str) -> None:
    content = bytearray(path.read_bytes())
    if harm == "another":
        torch.save({"no": "training"}, path)
    elif harm == "torn":
        path.write_bytes(content[:100])
    else:
        middle = len(content) // 2
        content[middle : middle + 128] = (byte ^ 1 for byte in content[middle : middle + 128])  # past padding
        path.write_bytes(content)


@pytest.mark.parametrize("kind", ["complete", "text"])
def test_a_damaged_checkpoint_of_a_network_is_told(
    kind: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write

    def killed(form: Any, path: Any) -> None:
        write(form, path)
        if path.name == "0.pt.checkpoint":
            raise DataError("the disk is full")

    monkeypatch.setattr(files, "write", killed)
    with pytest.raises(UserError, match="network 1 cannot be kept: the disk is full"):
        found(kind, storage=str(tmp_path / "s.db"), study="s")
    monkeypatch.setattr(files, "write", write)
    (kept,) = tmp_path.rglob("0.pt.checkpoint")
    damage(kept, "flipped")
    with pytest.warns(UserWarning, match="network 1 is begun again: its checkpoint is damaged"):
        rest = found(kind, storage=str(tmp_path / "s.db"), study="s")
    assert rest.genotype == found(kind).genotype


@pytest.mark.parametrize("kind", ["supernet", "complete"])
def test_out_of_memory_in_the_short_training_keeps_the_cell(
    kind: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, short = found(kind), retraining_short.retrain

    def hungry(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def trained(*given: Any, **more: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(retraining, "_trained", hungry)
            return short(*given, **more)

    monkeypatch.setattr(retraining_short, "retrain", trained)
    result = found(kind)
    assert result.genotype == whole.genotype
    assert result.accuracy.retrained is None
    (said,) = [note for note in result.notes if "not trained" in note]
    assert "out of memory with a batch of 8 and 4 channels" in said
    assert "--set retrain_batch=4 or --set retrain_channels=2 should fit" in said


def test_a_full_disk_in_the_short_training_keeps_the_cell(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(form: Any, path: Any) -> None:
        raise DataError(f"{path} cannot be written: the disk is full")

    monkeypatch.setattr(files, "write", full)
    result = found("supernet", storage=str(tmp_path / "s.db"), study="s")
    assert result.accuracy.retrained is None
    assert any("the disk is full" in note for note in result.notes)


def hungry_steps(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Let a window have memory for so many rows times units."""
    step = Training._step

    def checked(self: Training, window: Any, *more: Any) -> Any:
        if self.recipe.rows * self.recipe.hidden > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 648 bytes")
        return step(self, window, *more)

    monkeypatch.setattr(Training, "_step", checked)


def test_a_language_model_that_is_too_large_is_a_sentence_with_what_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = found("text").genotype
    hungry_steps(monkeypatch, 12)
    recipe = TrainingRecipe(hidden=6, rows=4, bptt=8, epochs=1, rate=2.0)
    said = r"4 and 6 hidden units; .* fits: --batch 2 or --hidden 3$"
    with pytest.raises(UserError, match=said):
        retrain_text(cell, data("text"), recipe, device="cpu")
    hungry_steps(monkeypatch, 1)
    with pytest.raises(UserError, match="with less of either alone: take a smaller vocabulary"):
        retrain_text(cell, data("text"), recipe, device="cpu")


def test_a_search_for_text_says_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    hungry_steps(monkeypatch, 12)
    with pytest.raises(UserError, match=r"fits: --set retrain_batch=2 or --set retrain_hidden=3$"):
        found("text")


def test_the_last_language_model_too_large_keeps_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = found("text")

    def hungry(*_: Any, **__: Any) -> Any:
        raise MemoryError

    short = short_text.retrain_text

    def trained(*given: Any, **more: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(retraining_text, "_retrained", hungry)
            return short(*given, **more)

    monkeypatch.setattr(short_text, "retrain_text", trained)
    result = found("text")
    assert result.genotype == whole.genotype
    assert result.perplexity["retrained"] is None
    assert any("not retrained: out of memory with a batch of 4 and 6" in note for note in result.notes)


def test_another_error_of_a_language_model_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = found("text").genotype

    def wrong(*_: Any, **__: Any) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Training, "_step", wrong)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        retrain_text(cell, data("text"), TrainingRecipe(hidden=6, rows=4, bptt=8, epochs=1), device="cpu")


def test_a_preset_judges_all_cells_alike_however_long_it_trains_them() -> None:
    for strategy in STRATEGIES:
        paper = PRESETS["paper"].of(strategy)
        assert schedule_of(replace(paper, retrain_epochs=50)) == replace(schedule_of(paper), epochs=50)
    long = schedule_of(replace(PRESETS["small"], retrain_epochs=100))
    assert long == replace(SCHEDULES["small"], epochs=100)
    assert "retrain_as_published" not in settable(PRESETS["paper"])
