import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io

from rung.errors import DataError
from rung.tabular.learners.table import BUILT_IN
from rung.tabular.model_file import FORMAT, load_model, read_manifest, save_model
from rung.tabular.predict import predict_table
from rung.tabular.trust import LOSSES, Use, harmless, refused, trusted_names, uses
from support.tables import KINDS, fitted


@pytest.mark.parametrize(
    ("kind", "learner"),
    [
        (kind, learner.name)
        for learner in BUILT_IN
        for kind in ("binary", "regression")
        if kind in learner.tasks and learner.there is None
    ],
)
def test_every_learner_comes_back_the_same(tmp_path: Path, learner: str, kind: str) -> None:
    model, frame = fitted(kind, learner)
    loaded = load_model(save_model(model, tmp_path / "model.rung"))
    before, after = predict_table(model, frame), predict_table(loaded, frame)
    if learner == "real_mlp":  # single precision, whose sums depend on where arrays lie
        pd.testing.assert_frame_equal(before, after, rtol=1e-5)
    else:
        assert before.equals(after)
    assert loaded.columns == model.columns
    assert loaded.task == model.task


@pytest.mark.parametrize("kind", ["binary", "regression"])
@pytest.mark.parametrize(
    "ways",
    [
        {"reduce": "select", "scale": "quantile"},
        {"reduce": "pca", "impute": "iterative"},
        {"expand": "pairs", "categories": "target"},
        {"expand": "squares", "scale": "smooth"},
        {"categories": "hash"},
    ],
    ids=lambda ways: ", ".join(ways.values()),
)
def test_every_way_of_preprocessing_comes_back_the_same(tmp_path: Path, ways: Any, kind: str) -> None:
    model, frame = fitted(kind, "linear", ways=ways)
    loaded = load_model(save_model(model, tmp_path / "model.rung"))
    assert predict_table(model, frame).equals(predict_table(loaded, frame))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, _ = fitted("multiclass", "linear")
    return save_model(model, tmp_path_factory.mktemp("saved") / "model.rung", {"score": 0.9, "metric": "auc"})


def test_the_manifest_says_what_the_model_is(saved: Path) -> None:
    manifest = read_manifest(saved)
    assert manifest["format"] == FORMAT
    assert manifest["task"] == "multiclass"
    assert manifest["classes"] == [1, 2, 3]
    assert manifest["target"] == "y"
    assert manifest["score"] == 0.9
    assert {c["name"]: c["kind"] for c in manifest["columns"]}["day"] == "date"
    assert {"numpy", "scikit-learn", "skops"} <= set(manifest["libraries"])


def test_the_file_holds_what_skops_would_write(tmp_path: Path) -> None:
    """The same schema, but for the identities of objects, and the same arrays."""
    model, frame = fitted("binary", "forest")
    model.notes["twice"] = [shared := np.arange(3.0), shared]
    place = save_model(model, tmp_path / "model.rung")
    own, theirs = zipfile.ZipFile(place), zipfile.ZipFile(_dumped(tmp_path, model))
    assert len(own.namelist()) == len(set(own.namelist())) == len(theirs.namelist()) + 1  # the manifest
    assert _outline(json.loads(own.read("schema.json"))) == _outline(json.loads(theirs.read("schema.json")))
    loaded = skops.io.load(place, trusted=sorted({u.name for u in uses(json.loads(own.read("schema.json")))}))
    assert np.array_equal(loaded.raw(frame), model.raw(frame))


def _outline(node: Any) -> Any:
    """A schema without the identities of objects."""
    if isinstance(node, dict):
        return {key: _outline(value) for key, value in node.items() if key not in ("__id__", "file")}
    return [_outline(value) for value in node] if isinstance(node, list) else node


def test_nothing_is_left_behind_where_writing_fails(tmp_path: Path) -> None:
    model, _ = fitted("binary", "linear")
    place = tmp_path / "model.rung"
    place.write_text("what was there before")
    model.notes["unwritable"] = (i for i in range(3))  # a generator has no state that can be saved
    with pytest.raises(TypeError):
        save_model(model, place)
    assert [p.name for p in tmp_path.iterdir()] == ["model.rung"]
    assert place.read_text() == "what was there before"
    with pytest.raises(DataError, match=r"cannot be written .*: give another --out"):
        save_model(model, tmp_path / "nowhere" / "model.rung")


def test_files_that_are_no_models(tmp_path: Path, saved: Path) -> None:
    content = saved.read_bytes()
    cases = {
        "text.rung": (b"hello", "file of another program"),
        "empty.rung": (b"", "file of another program"),
        "cut.rung": (content[: len(content) // 2], "is cut off"),
        "late.rung": (content[:-30], "is cut off"),
    }
    for name, (data, words) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=words) as caught:
            load_model(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="there is no file"):
        load_model(tmp_path / "none.rung")
    with pytest.raises(DataError, match="is a folder"):
        load_model(tmp_path)


def rewritten(saved: Path, place: Path, **members: Any) -> Path:
    """The saved model with some of its members' JSON changed by functions."""
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(place, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            change = members.get(name.split(".")[0])
            new.writestr(name, json.dumps(change(json.loads(data))) if change else data)
    return place


def test_other_zips_and_newer_formats(tmp_path: Path, saved: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("a.txt", "hello")
    with pytest.raises(DataError, match="file of another program"):
        load_model(tmp_path / "other.zip")
    foreign = rewritten(saved, tmp_path / "foreign.rung", manifest=lambda m: {"kind": "else"})
    with pytest.raises(DataError, match="file of another program"):
        load_model(foreign)
    bare = rewritten(saved, tmp_path / "bare.rung", manifest=lambda m: {"kind": m["kind"]})
    with pytest.raises(DataError, match="file of another program"):
        load_model(bare)
    hollow = rewritten(saved, tmp_path / "hollow.rung", schema=lambda _: [])
    with pytest.raises(DataError, match="is damaged"):
        load_model(hollow)
    newer = rewritten(saved, tmp_path / "newer.rung", manifest=lambda m: {**m, "format": 99, "rung": "7.0"})
    with pytest.raises(DataError, match=r"has format 99, written by rung 7\.0, .* pip install -U rung"):
        load_model(newer)


def test_a_flipped_byte_is_noticed(tmp_path: Path, saved: Path) -> None:
    with zipfile.ZipFile(saved) as archive:
        array = next(i for i in archive.infolist() if i.filename.endswith(".npy"))
    data = bytearray(saved.read_bytes())
    data[array.header_offset + 30 + len(array.filename) + array.compress_size - 1] ^= 1
    (tmp_path / "model.rung").write_bytes(data)
    with pytest.raises(DataError, match="is damaged"):
        load_model(tmp_path / "model.rung")


DANGEROUS = [
    Use("os.system", "FunctionNode"),
    Use("posix.system", "FunctionNode"),
    Use("builtins.eval", "TypeNode"),
    Use("subprocess.Popen", "ObjectNode"),
    Use("numpy.testing._private.utils.runstring", "ConstructorFromReduceNode"),
    Use("numpy.testing._private.utils.runstring", "FunctionNode"),
    Use("numpy.memmap", "ConstructorFromReduceNode"),
    Use("numpy.memmap", "NdArrayNode"),
    Use("numpy.load", "FunctionNode"),
    Use("numpy.fromfile", "TypeNode"),
    Use("scipy.io._mio.loadmat", "FunctionNode"),
    Use("sklearn.datasets._base.load_files", "FunctionNode"),
    Use("sklearn.utils._testing.raises", "ObjectNode"),
    Use("lightgbm.basic.Dataset", "ConstructorFromReduceNode"),
    Use("rung.tabular.model_file.load_model", "FunctionNode"),
    Use("rung.study.study.Study", "ObjectNode"),
    Use("rungx.tabular.Thing", "ObjectNode"),
    Use("joblib.memory.Memory", "ObjectNode"),
    Use("operator.methodcaller", "OperatorFuncNode"),
    Use("sklearn.linear_model._logistic.LogisticRegression", "MethodNode"),
    Use("pickle.Unpickler", "DictNode"),
    Use("_loss.CyHalfBinomialLoss", "FunctionNode"),
    Use("_loss.CyHalfBinomialLoss", "ObjectNode"),
    Use("_loss.CyOther", "LossNode"),
    Use("_loss.CyHalfBinomialLoss.fit", "LossNode"),
    Use("skrub._to_str.ToStr", "ObjectNode"),
    Use("sklearn.linear_model._logistic.LogisticRegression", "SomeNewNode"),
]


@pytest.mark.parametrize("use", DANGEROUS, ids=lambda use: f"{use.name}-{use.loader}")
def test_what_could_run_code_is_refused(use: Use) -> None:
    assert refused([use], trusted_names(())) == [use.name]
    assert refused([use], trusted_names((use.name,))) == []


def test_losses_are_harmless_by_the_names_that_scikit_learn_has_had_for_them() -> None:
    from sklearn._loss import _loss

    names = {name for name in vars(_loss) if name.startswith("Cy")} - {"CyLossFunction"}  # the abstract one
    assert {f"_loss.{name}" for name in names} == set(LOSSES)
    for name in names:
        assert harmless(Use(f"_loss.{name}", "LossNode"))
        assert harmless(Use(f"{getattr(_loss, name).__module__}.{name}", "LossNode"))


def test_a_file_that_would_run_code_is_refused_before_it_does(tmp_path: Path, saved: Path) -> None:
    """numpy.memmap in mode w+ makes a file when it is constructed, and numpy is a trusted package."""
    trap = tmp_path / "trap"
    node = {
        "__class__": "memmap",
        "__module__": "numpy",
        "__loader__": "ConstructorFromReduceNode",
        "content": json.loads(
            zipfile.ZipFile(_dumped(tmp_path, (str(trap), "uint8", "w+", 0, (4,)))).read("schema.json")
        ),
    }

    def spring(schema: dict[str, Any]) -> dict[str, Any]:
        schema["content"]["content"]["notes"] = node
        return schema

    loaded = rewritten(saved, tmp_path / "trap.rung", schema=spring)
    with pytest.raises(
        DataError, match=r"holds numpy\.memmap, which rung does not trust; .*--trust numpy\.memmap"
    ):
        load_model(loaded)
    assert not trap.exists()
    load_model(loaded, trust=["numpy.memmap"])
    assert trap.exists()  # so the trap was a real one


def _dumped(folder: Path, value: object) -> Path:
    skops.io.dump(value, folder / "value.skops")
    return folder / "value.skops"


class Foreign:
    """A type of some other package."""

    def __init__(self) -> None:
        self.value = 3


def test_types_of_others_are_refused_by_name_unless_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = {"__class__": "Foreign", "__module__": "their.package", "__loader__": "ObjectNode"}
    found = list(uses({"content": [schema]}))
    name = "their.package.Foreign"
    assert found == [Use(name, "ObjectNode")]
    assert refused(found, trusted_names(())) == [name]
    assert refused(found, trusted_names((name,))) == []

    class Point:
        name = "theirs"

        @staticmethod
        def load() -> object:
            return type("Plugin", (), {"trusted": (name,)})

    from rung.tabular import trust

    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: [Point] if group == "rung.learners" else []
    )
    trust.declared_by_plugins.cache_clear()
    assert refused(found, trusted_names(())) == []
    monkeypatch.undo()
    trust.declared_by_plugins.cache_clear()
    assert refused(found, trusted_names(())) == [name]


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_a_table(kind: str) -> None:
    model, frame = fitted(kind, "linear", "lightgbm")
    out = predict_table(model, frame)
    if kind == "regression":
        assert list(out) == ["prediction"]
        assert np.corrcoef(out["prediction"], frame["y"])[0, 1] > 0.7
        return
    classes = model.task.classes
    assert list(out) == ["prediction", *(f"p_{c}" for c in classes)]
    shares = out.iloc[:, 1:].to_numpy()
    assert shares.sum(axis=1) == pytest.approx(1)
    assert out["prediction"].tolist() == [classes[i] for i in shares.argmax(axis=1)]
    assert (out["prediction"] == frame["y"]).mean() > 0.6


def test_later_tables_may_differ_in_form() -> None:
    model, frame = fitted("binary", "linear", "lightgbm", "forest")
    usual = predict_table(model, frame)
    shuffled = frame[frame.columns[::-1]].drop(columns=["y", "same"]).assign(extra="x")
    assert predict_table(model, shuffled).equals(usual)
    one = predict_table(model, frame.iloc[[7]])
    assert one["p_yes"][0] == pytest.approx(usual["p_yes"][7])
    strange = frame.assign(b="violet", day="not a day", note=None, a="text")
    assert predict_table(model, strange).notna().all(axis=None)
    with pytest.raises(DataError, match="column 'noise' is missing"):
        predict_table(model, frame.drop(columns="noise"))


def _rewritten(place: Path, libraries: dict[str, str], out: Path) -> Path:
    """The same file, as if it had been written with these versions."""
    with zipfile.ZipFile(place) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "manifest.json":
                facts = json.loads(content)
                facts["libraries"] |= libraries
                content = json.dumps(facts).encode()
            new.writestr(name, content)
    return out


def test_other_versions_are_named_for_libraries_that_the_members_use(tmp_path: Path) -> None:
    model, frame = fitted("binary", "lightgbm")
    place = save_model(model, tmp_path / "model.rung")
    other = _rewritten(
        place, {"lightgbm": "4.1.0", "scikit-learn": "1.6.1", "xgboost": "1.0"}, tmp_path / "other"
    )
    with pytest.warns(UserWarning, match=r"written with .*lightgbm 4\.1\.0 \(4\.\d+\.\d+ here\)") as caught:
        loaded = load_model(other)
    assert "xgboost" not in str(caught[0].message)
    assert len(caught) == 1
    assert np.array_equal(loaded.raw(frame), model.raw(frame))


def test_another_patch_of_a_library_goes_without_saying(saved: Path, tmp_path: Path) -> None:
    here = read_manifest(saved)["libraries"]["scikit-learn"]
    patched = ".".join([*here.split(".")[:2], "99"])
    other = _rewritten(saved, {"scikit-learn": patched}, tmp_path / "patched")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_model(other)
    assert caught == []


def test_a_file_that_another_version_cannot_open_says_which_it_was_written_with(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = _rewritten(saved, {"scikit-learn": "1.2.0"}, tmp_path / "other")

    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("node array has an incompatible dtype")

    monkeypatch.setattr(skops.io, "load", fails)
    with pytest.raises(DataError, match=r"incompatible dtype.*written with scikit-learn 1\.2\.0 \(.* here\)"):
        load_model(other)
