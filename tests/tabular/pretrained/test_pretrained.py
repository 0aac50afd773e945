"""Texts and images through tiny pretrained models: the folder, the fit, the model file, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular.columns import prepare
from rung.tabular.fit import fit_table
from rung.tabular.model_file import load_model, save_model
from rung.tabular.pretrained import embedding as embedding_module
from rung.tabular.pretrained import memory
from rung.tabular.pretrained.cells import as_texts
from rung.tabular.pretrained.embedding import Embedding, TooSlow
from rung.tabular.pretrained.encoder import EmbeddingEncoder
from rung.tabular.pretrained.network import IMAGE, TEXT
from rung.tabular.pretrained.networks import load
from rung.tabular.pretrained.source import HOME, locate
from rung.tabular.result import FitResult
from rung.tabular.saying import told_to
from support.tiny_models import make_bert, make_script, make_vit, reviews

pytest.importorskip("transformers", reason="the tiny models are transformers' own")
pytest.importorskip("PIL", reason="images are read by pillow")

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_bert(tmp_path_factory.mktemp("models") / "bert")
    load(locate(str(folder), "c"), "c").embed(["good"], TEXT)  # libraries load now, and not in a fit's time
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_vit(tmp_path_factory.mktemp("models") / "vit")
    load(locate(str(folder), "c"), "c").embed([Image.new("RGB", (9, 9))], IMAGE)
    return folder


@pytest.fixture(scope="module")
def fitted(bert: Path) -> FitResult:
    return fit_table(
        reviews(160), "target", budget=4.0, workers=1, include=["linear"], embed={"review": str(bert)},
        holdout=0.2,
    )  # fmt: skip


# -- networks -----------------------------------------------------------------------------------------------


def test_a_text_is_the_mean_of_its_tokens_whatever_its_batch(bert: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    network = load(locate(str(bert), "c"), "c")
    texts = ["good word1", "bad awful poor word3 word4"]
    found = network.embed(texts, TEXT)
    tokens, model = AutoTokenizer.from_pretrained(bert), AutoModel.from_pretrained(bert).eval()
    for text, vector in zip(texts, found, strict=True):
        with torch.inference_mode():
            states = model(**tokens(text, return_tensors="pt")).last_hidden_state[0]
        np.testing.assert_allclose(vector, states.mean(0).numpy(), atol=1e-5)
        np.testing.assert_allclose(vector, network.embed([text], TEXT)[0], atol=1e-5)


def test_a_long_text_is_cut(bert: Path) -> None:
    assert load(locate(str(bert), "c"), "c").embed(["good " * 500], TEXT).shape == (1, 16)


@pytest.mark.parametrize("processor", [True, False])
def test_an_image_is_the_first_token(tmp_path: Path, processor: bool) -> None:
    network = load(locate(str(make_vit(tmp_path / "vit", processor)), "c"), "c")
    images = [Image.new("RGB", (40, 50), colour) for colour in ("red", "blue")]
    found = network.embed(images, IMAGE)
    assert found.shape == (2, 16)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_torchscript_sees_images_normalised_as_imagenet(tmp_path: Path) -> None:
    network = load(locate(str(make_script(tmp_path / "script")), "c"), "c")
    found = network.embed([Image.new("RGB", (300, 260), (255, 0, 0))], IMAGE)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)


def _sentence_folder(tmp_path: Path, pooling: dict[str, bool], *more: str) -> Path:
    folder = make_bert(tmp_path / "sentence")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    types = ["Transformer", "Pooling", *more]
    parts = [
        {"idx": j, "type": f"sentence_transformers.models.{name}", "path": "" if j == 0 else f"{j}_{name}"}
        for j, name in enumerate(types)
    ]
    (folder / "modules.json").write_text(json.dumps(parts))
    return folder


def test_sentence_transformers_folder_is_read_by_hand(tmp_path: Path, bert: Path) -> None:
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}
    folder = _sentence_folder(tmp_path, pooling, "Normalize")
    found = load(locate(str(folder), "c"), "c").embed(["good word1", "bad"], TEXT)
    assert found.shape == (2, 32)  # both ways side by side
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-5)
    mean = load(locate(str(bert), "c"), "c").embed(["good word1"], TEXT)[0]  # the same weights
    np.testing.assert_allclose(found[0, 16:] / found[0, 16], mean / mean[0], rtol=1e-3)


def test_a_classifiers_head_gives_the_sources_classes(tmp_path: Path) -> None:
    network = load(locate(str(make_bert(tmp_path / "head", classes=3)), "c"), "c")
    found = network.source_classes(["good", "bad word1"])
    assert found is not None
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    folder = make_bert(tmp_path / "bert")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "num_hidden_layers": 3}))
    with pytest.raises(DataError, match="lacks weights"):
        load(locate(str(folder), "c"), "c")


# -- the folder ---------------------------------------------------------------------------------------------


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        locate(str(tmp_path / "nowhere"), "review")
    with pytest.raises(DataError, match="holds no pretrained model"):
        locate(str(tmp_path), "review")
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(DataError, match=r"config\.json cannot be read"):
        locate(str(tmp_path), "review")


def test_a_model_is_found_by_name_where_the_environment_says(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = locate(str(bert), "c")
    shutil.copytree(bert, tmp_path / "home" / "bert")
    source.path = str(tmp_path / "gone" / "bert")
    with pytest.raises(DataError, match="no longer at"):
        source.find("c")
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    assert source.find("c") == tmp_path / "home" / "bert"
    assert locate("bert", "c").fingerprint == source.fingerprint


def test_another_model_in_the_folder_is_refused(bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    shutil.copytree(bert, folder)
    source = locate(str(folder), "review")
    shutil.rmtree(folder)
    make_bert(folder, seed=1)  # the same architecture and sizes
    with pytest.raises(DataError, match=r"column 'review' needs .* holds another one"):
        source.find("review")


# -- the fit ------------------------------------------------------------------------------------------------


def test_texts_are_learned_from_and_said(fitted: FitResult) -> None:
    assert fitted.held is not None
    assert fitted.held.score > 0.9
    note = next(note for note in fitted.notes if "embedded" in note)
    assert note.startswith("column 'review' is embedded with bert (16 numbers): LogME ")
    assert isinstance(fitted.model.encoder, EmbeddingEncoder)


def test_the_model_file_embeds_again(
    fitted: FitResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(fitted.model, tmp_path / "model.rung")
    monkeypatch.setattr(memory, "_kept", {})
    selecting = "sklearn.feature_selection._univariate_selection.f_classif"
    model = load_model(tmp_path / "model.rung", trust=[selecting])
    rows = reviews(40, seed=5)
    expected = fitted.model.predict_proba(rows)
    np.testing.assert_allclose(model.predict_proba(rows), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(rows.iloc[[7]]), expected[[7]], atol=1e-3)
    assert (model.predict(rows) == rows["target"]).mean() > 0.9


def test_missing_cells_and_the_words_alone(fitted: FitResult) -> None:
    rows = reviews(3)
    rows["review"] = [None, "good", None]
    assert np.isfinite(fitted.model.predict_proba(rows)).all()
    rows["review"] = None
    assert np.isfinite(fitted.model.predict_proba(rows)).all()


def test_a_model_that_is_gone_is_said(fitted: FitResult, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = fitted.model.encoder
    assert isinstance(encoder, EmbeddingEncoder)
    monkeypatch.setattr(encoder.embeddings[0].source, "path", "/nowhere/bert")
    with pytest.raises(DataError, match="column 'review' needs the pretrained model bert"):
        fitted.model.predict(pd.DataFrame({"review": ["never seen before"], "noise": [0.0]}))


def test_other_commands_see_the_column_as_one(fitted: FitResult) -> None:
    from rung.tabular.explain.trees import tree_contributions

    assert [column.name for column in fitted.model.columns] == ["review", "noise"]
    rows = reviews(30)
    table = fitted.model.encoder.arrays(prepare(rows, fitted.model.columns))
    np.testing.assert_array_equal(table.numbers, fitted.model.encoder.transform(rows).numbers)
    assert tree_contributions(fitted.model, rows) is None  # the one member is linear


def test_images_by_path_and_as_arrays(vit: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    red = rng.random(80) < 0.5
    arrays = [
        np.clip(rng.normal(90, 40, (24, 24, 3)) + np.array([120, 0, 0]) * one, 0, 255).astype(np.uint8)
        for one in red
    ]
    target = np.where(red, 3.0, 1.0) + rng.normal(scale=0.1, size=80)
    by_array = pd.DataFrame({"photo": pd.Series(list(arrays), dtype=object), "target": target})
    for j, array in enumerate(arrays):
        Image.fromarray(array).save(tmp_path / f"{j}.png")
    by_path = pd.DataFrame({"photo": [f"{j}.png" for j in range(80)], "target": target})
    by_path.attrs["folder"] = str(tmp_path)
    how = {"budget": 2.0, "workers": 1, "include": ["linear"], "embed": {"photo": str(vit)}}
    result = fit_table(by_path, "target", **how)
    assert result.score < 0.5 * result.constant
    assert result.model.encoder.transform(by_path).words is None
    np.testing.assert_allclose(result.model.predict(by_array), result.model.predict(by_path), atol=1e-3)
    again = fit_table(by_array, "target", **how)
    np.testing.assert_allclose(again.model.predict(by_path), again.model.predict(by_array), atol=1e-3)


def test_whoever_may_not_open_files_gives_data_uris(vit: Path, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), "red").save(tmp_path / "a.png")
    source = locate(str(vit), "photo")
    one = Embedding("photo", source, IMAGE)
    one.fit(np.zeros((3, 16), dtype=np.float32))
    column = {"name": "photo", "kind": "text", "distinct": 1, "missing": 0.0, "format": None}
    encoder = EmbeddingEncoder(json.dumps([column]), [], [one])
    frame = pd.DataFrame({"photo": [str(tmp_path / "a.png")]})
    by_path = encoder.transform(frame).numbers
    frame.attrs["paths"] = False
    with pytest.raises(DataError, match="column 'photo', row 1: images are given here as data URIs"):
        encoder.transform(frame)
    data = as_texts(pd.DataFrame({"photo": pd.Series([Image.open(tmp_path / "a.png")])}), ["photo"])
    data.attrs["paths"] = False
    np.testing.assert_allclose(encoder.transform(data).numbers, by_path, atol=1e-3)


def test_what_is_no_image_is_named_by_its_row(vit: Path, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no image")
    frame = pd.DataFrame({"photo": ["a.png", "b.png"] * 20, "target": [0.0, 1.0] * 20})
    frame.attrs["folder"] = str(tmp_path)
    with pytest.raises(DataError, match=r"column 'photo', row 2: 'b\.png' is no image"):
        fit_table(frame, "target", budget=3.0, workers=1, embed={"photo": str(vit)})
    frame.loc[1::2, "photo"] = "c.png"
    with pytest.raises(DataError, match=r"column 'photo', row 2: there is no image 'c\.png'"):
        fit_table(frame, "target", budget=3.0, workers=1, embed={"photo": str(vit)})
    frame["photo"] = [np.zeros(3)] * 40
    with pytest.raises(DataError, match=r"column 'photo', row 1: an array of shape \(3,\)"):
        fit_table(frame, "target", budget=3.0, workers=1, embed={"photo": str(vit)})


def test_a_column_that_is_not_there_is_refused(bert: Path) -> None:
    for embed, message in (({"revue": str(bert)}, "no column 'revue'"), ({"target": str(bert)}, "predicted")):
        with pytest.raises(DataError, match=message):
            fit_table(reviews(40), "target", budget=2.0, embed=embed)
    with pytest.raises(DataError, match="choose one"):
        fit_table(reviews(40), "target", budget=2.0, embed={"review": str(bert)}, drop=["review"])


# -- time ---------------------------------------------------------------------------------------------------


def _too_slow(*_: object, **__: object) -> None:
    raise TooSlow("embedding 900 more cells would take about 50 s")


def test_what_does_not_fit_the_time_is_plain_text(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Embedding, "vectors", _too_slow)
    result = fit_table(
        reviews(120), "target", budget=2.0, workers=1, include=["linear"], embed={"review": str(bert)}
    )
    assert not isinstance(result.model.encoder, EmbeddingEncoder)
    assert any(
        note.startswith("column 'review' is used as plain text: embedding 900") for note in result.notes
    )
    assert result.score > 0.9  # of the words


def test_images_that_do_not_fit_the_time_are_left_out(
    vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Embedding, "vectors", _too_slow)
    frame = pd.DataFrame(
        {"photo": [f"{j}.png" for j in range(60)], "x": np.arange(60) % 7, "target": np.arange(60) % 7 * 1.5}
    )
    how = {
        "workers": 1, "include": ["linear"], "embed": {"photo": str(vit)}, "study": "one",
        "storage": f"sqlite:///{tmp_path / 'rung.db'}",
    }  # fmt: skip
    result = fit_table(frame, "target", budget=1.0, **how)
    assert any(note.startswith("column 'photo' is left out: embedding") for note in result.notes)
    assert [column.kind for column in result.columns] == ["dropped", "number"]
    monkeypatch.undo()
    again = fit_table(frame, "target", budget=2.0, **how)  # the study goes on as it began
    assert [column.kind for column in again.columns] == ["dropped", "number"]


def test_the_estimate_gives_up_before_the_work(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rung.tabular.deadline import Deadline

    monkeypatch.setattr(memory, "_kept", {})
    one = Embedding("review", locate(str(bert), "review"), TEXT)
    with pytest.raises(TooSlow, match="loading the libraries and its model took the time"):
        one.vectors(list(reviews(200)["review"]), "", Deadline.after(0.0))
    assert len(memory.known(one.source.fingerprint)) <= 40
    pace = embedding_module._Pace(Deadline.after(100))
    pace.began -= 1
    with pytest.raises(TooSlow, match=r"embedding 900 more cells would take about \d\d\d+ s"):
        pace.check(1, 900, 900)


def test_each_cell_is_embedded_once(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rung.tabular.pretrained.network import Network

    monkeypatch.setattr(memory, "_kept", {})
    seen: list[str] = []
    plain = Network.embed

    def counted(self: Network, batch: list[str], what: str) -> object:
        seen.extend(batch)
        return plain(self, batch, what)

    monkeypatch.setattr(Network, "embed", counted)
    one = Embedding("review", locate(str(bert), "review"), TEXT)
    cells = ["good", "bad", None, "good", "poor word1"]
    first = one.vectors(cells, "")
    assert sorted(seen) == ["bad", "good", "poor word1"]
    assert np.isnan(first[2]).all()
    np.testing.assert_array_equal(first, one.vectors(cells, ""))
    assert len(seen) == 3


def test_progress_is_said_when_it_takes_long(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_kept", {})
    monkeypatch.setattr(embedding_module, "_PATIENCE", 0.0)
    said: list[str] = []
    with told_to(said.append):
        Embedding("review", locate(str(bert), "review"), TEXT).vectors(list(reviews(100)["review"]), "")
    assert said
    assert said[0].startswith("review: 32 of 100 texts embedded with bert, ")


def test_a_study_goes_on_with_what_it_has(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {
        "workers": 1, "include": ["linear"], "storage": f"sqlite:///{tmp_path / 'rung.db'}", "study": "one",
        "embed": {"review": str(bert)},
    }  # fmt: skip
    monkeypatch.setattr(memory, "_kept", {})
    first = fit_table(reviews(100), "target", budget=1.5, **how)
    assert list(tmp_path.rglob("embeddings/*.npz"))
    monkeypatch.setattr(memory, "_kept", {})

    def never(*_: object) -> object:
        raise AssertionError("it was embedded already")

    from rung.tabular.pretrained.network import Network

    monkeypatch.setattr(Network, "embed", never)
    second = fit_table(reviews(100), "target", budget=3.0, **how)
    assert second.trials >= first.trials


# -- principal components -----------------------------------------------------------------------------------


def test_many_dimensions_become_the_first_components() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(300, 5)) * [9, 7, 5, 3, 2]
    vectors = (hidden @ rng.normal(size=(5, 100)) + 3).astype(np.float32)
    one = Embedding("c", locate_nothing(), TEXT)
    one.fit(vectors)
    reduced = one.reduce(vectors)
    assert reduced.shape == (300, 64)
    spread = reduced.std(axis=0)
    assert (np.diff(spread) <= 1e-6).all()
    assert (spread[5:] < 1e-3).all()
    whole = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
    ratio = np.linalg.norm(reduced, axis=1) / whole
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def locate_nothing() -> object:
    from rung.tabular.pretrained.source import Source

    return Source("/nowhere", "0")
