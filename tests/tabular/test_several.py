from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import rung
from rung.cli.app import app
from rung.errors import DataError
from rung.tabular import fit_targets
from rung.tabular.model_file import KIND, read_manifest
from rung.tabular.several import load_several, positives, save_several, take_out


def _frame(n=150):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    return frame.assign(
        price=frame.a * 3 + frame.b,
        cosy=np.where(frame.a > 0, "yes", "no"),
        loud=(frame.c > 0.5).astype(int),
    )


def test_each_target_has_a_model_that_sees_no_other_target():
    frame = _frame()
    found = fit_targets(
        frame, ["price", "cosy", "loud"], settings={"include": ["linear"], "workers": 1, "trials": 2}
    )
    assert set(found.results) == {"price", "cosy", "loud"}
    predictions = found.model.predict(frame[["a", "b", "c"]])
    assert list(predictions.columns) == ["price", "cosy", "loud"]
    assert np.corrcoef(predictions.price, frame.price)[0, 1] > 0.95
    assert (predictions.cosy == frame.cosy).mean() > 0.9
    assert predictions.loud.isin([0, 1]).all()


@pytest.mark.parametrize(
    ("targets", "message"), [(["price", "cozy"], "did you mean cosy"), (["price", "price"], "named twice")]
)
def test_targets_that_cannot_be(targets, message):
    with pytest.raises(DataError, match=message):
        fit_targets(_frame(), targets, budget=1)


def test_columns_may_be_left_out_among_the_settings_too():
    settings = {"include": ["linear"], "trials": 1, "drop": ["a"]}
    found = fit_targets(_frame(), ["price", "cosy"], drop=["b"], settings=settings)
    used = [[c.name for c in one.columns if c.used] for one in found.results.values()]
    assert used == [["c", "loud"], ["c", "loud"]]
    assert settings["drop"] == ["a"]


def test_a_positive_class_is_of_the_targets_with_two():
    assert positives(_frame(), ["price", "cosy"], None, "no") == {"price": None, "cosy": "no"}
    assert positives(_frame(), ["price", "cosy"], None, None) == {"price": None, "cosy": None}
    settings = {"include": ["linear"], "trials": 1, "positive": "no"}
    found = fit_targets(_frame(), ["price", "cosy"], settings=settings)
    assert found.results["cosy"].task.classes == ("yes", "no")
    with pytest.raises(DataError, match="none of the targets has two classes"):
        fit_targets(_frame(), ["price", "a"], settings=settings)


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = _frame()
    frame.to_csv("homes.csv", index=False)
    words = ["fit", "homes.csv", "--target", "price,cosy", "--budget", "2", "--include", "linear"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "report-price.html").exists()
    assert (tmp_path / "report-cosy.html").exists()
    result = CliRunner().invoke(app, ["predict", "model.rung", "homes.csv", "--out", "p.csv"])
    assert result.exit_code == 0, result.output
    predictions = pd.read_csv("p.csv")
    assert list(predictions.columns) == ["price", "cosy"]
    assert len(predictions) == 150
    assert list(rung.load("model.rung").models) == ["price", "cosy"]
    covered = ["predict", "model.rung", "homes.csv", "--intervals", "90%"]
    result = CliRunner().invoke(app, covered)
    assert result.exit_code == 2
    result = CliRunner().invoke(app, [*covered, "--target", "price"])
    assert result.stdout.startswith("prediction,low,high"), result.output
    result = CliRunner().invoke(
        app, ["evaluate", "model.rung", "homes.csv", "--target", "price", "--metric", "rmse"]
    )
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, ["evaluate", "model.rung", "homes.csv", "--json"])
    assert result.exit_code == 0, result.output
    judged = json.loads(result.stdout)["targets"]
    assert judged["price"]["metrics"]["r2"]["value"] > 0.9
    assert judged["cosy"]["metrics"]["auc"]["value"] > 0.9
    result = CliRunner().invoke(app, ["leaderboard", "model.rung"])
    assert result.exit_code == 2
    assert "models of 2 targets (price and cosy)" in result.stderr
    assert "--target price" in result.stderr
    for words in (
        ["leaderboard", "model.rung"],
        ["monitor", "model.rung", "homes.csv"],
        ["check", "homes.csv", "--against", "model.rung"],
        ["explain", "model.rung", "homes.csv", "--row", "1"],
        ["export-model", "model.rung", "--to", "python", "--out", "m.py"],
    ):
        result = CliRunner().invoke(app, [*words, "--target", "cosy"])
        assert result.exit_code == 0, result.output
    assert "cosy" in (tmp_path / "m.py").read_text()


def test_targets_of_standard_input_are_checked_first_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "rung", "fit", "-", "--target", "cosy,price", "--metric", "auc"],
        input=_frame().to_csv(index=False),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "target price: metric 'auc' is for binary" in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "more", "why"),
    [
        ("cosy,price", ["--metric", "auc"], "target price: metric 'auc' is for binary"),
        ("price,cosy", ["--positive", "maybe"], "target cosy: 'maybe' is none of the classes"),
        ("price,loud", ["--task", "regression", "--positive", "1"], "none of the targets has two classes"),
        ("cosy,price", ["--weights", "price"], "target price: column 'price' is what is to be predicted"),
    ],
)
def test_all_targets_are_checked_before_the_first_is_fitted(tmp_path, monkeypatch, target, more, why):
    monkeypatch.chdir(tmp_path)
    _frame().to_csv("homes.csv", index=False)
    result = CliRunner().invoke(app, ["fit", "homes.csv", "--target", target, *more])
    assert result.exit_code == 2
    assert why in " ".join(result.stderr.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["homes.csv"]


def _both(folder):
    """A file of two models, of which there is no more than their manifests."""
    for number, name in enumerate(["price", "cosy"]):
        with zipfile.ZipFile(folder / f"{number}.rung", "w") as archive:
            facts = {"kind": KIND, "format": 1, "target": name}
            archive.writestr("manifest.json", json.dumps(facts))
    return save_several({"price": folder / "0.rung", "cosy": folder / "1.rung"}, folder / "m.rung")


def test_the_file_is_written_as_other_files_are(tmp_path):
    (tmp_path / "other").write_text("")
    assert _both(tmp_path).stat().st_mode == (tmp_path / "other").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.rung", "1.rung", "m.rung", "other"]
    with pytest.raises(DataError, match=r"m\.rung cannot be written"):
        save_several({}, tmp_path / "none" / "m.rung")


def test_nothing_is_left_behind_where_a_model_is_gone(tmp_path):
    (tmp_path / "m.rung").write_text("what was there before")
    with pytest.raises(DataError, match="cannot be written"):
        save_several({"price": tmp_path / "gone.rung"}, tmp_path / "m.rung")
    assert [path.name for path in tmp_path.iterdir()] == ["m.rung"]
    assert (tmp_path / "m.rung").read_text() == "what was there before"


@pytest.mark.parametrize("kept", ["1.rung", "the directory", "its last byte"])
def test_a_file_that_is_cut_off_is_no_model_of_its_first_target(tmp_path, kept):
    """The archive of the first model is whole in it, and so is found there."""
    both = _both(tmp_path)
    with zipfile.ZipFile(both) as archive:
        cuts = {
            "1.rung": archive.getinfo("1.rung").header_offset,
            "the directory": archive.start_dir,
            "its last byte": both.stat().st_size - 1,
        }
    both.write_bytes(both.read_bytes()[: cuts[kept]])
    for reading in (
        lambda: rung.load(both),
        lambda: read_manifest(both),
        lambda: take_out(both, "price", tmp_path),
    ):
        with pytest.raises(DataError, match=r"m\.rung is cut off: .*; copy it again or fit the model anew"):
            reading()
    result = CliRunner().invoke(app, ["predict", str(both), "none.csv"])
    assert result.exit_code == 2
    assert "is cut off" in result.stderr


def _without_the_second(both):
    with zipfile.ZipFile(both) as old:
        kept = {name: old.read(name) for name in old.namelist() if name != "1.rung"}
    with zipfile.ZipFile(both, "w") as new:
        for name, content in kept.items():
            new.writestr(name, content)


def _second_cut(both):
    with zipfile.ZipFile(both) as old:
        content = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(both, "w") as new:
        for name, data in content.items():
            new.writestr(name, data[:50] if name == "1.rung" else data)


def _flipped(both, name, place, bit):
    """A byte of this entry, counted from where it begins."""
    with zipfile.ZipFile(both) as archive:
        start = archive.getinfo(name).header_offset
    data = bytearray(both.read_bytes())
    data[start + place] ^= bit
    both.write_bytes(data)


def _encrypted(both):
    """All entries are said to be, at their place and in the directory."""
    data = bytearray(both.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        for part in range(len(data)):
            if data.startswith(mark, part):
                data[part + place] |= 1
    both.write_bytes(data)


DAMAGES = {
    "gone": (_without_the_second, "m.rung is damaged (the model of 'cosy' is missing); copy it again"),
    "a byte": (lambda both: _flipped(both, "1.rung", 60, 1), "m.rung is damaged (Bad CRC-32"),
    "the manifest": (lambda both: _flipped(both, "manifest.json", 60, 1), "m.rung is damaged (Bad CRC-32"),
    "cut": (_second_cut, "m.rung (its model of 'cosy') is cut off: the end of the file is missing; copy"),
    "encrypted": (_encrypted, "m.rung is damaged (File 'manifest.json' is encrypted"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_told_by_its_own_name(tmp_path, damage):
    both = _both(tmp_path)
    harm, words = DAMAGES[damage]
    harm(both)
    (tmp_path / "apart").mkdir()
    with pytest.raises(DataError) as caught:
        take_out(both, "cosy", tmp_path / "apart")
    assert f"{tmp_path}/{words}" in str(caught.value)
    result = CliRunner().invoke(app, ["evaluate", str(both), "none.csv", "--target", "cosy"])
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)


def test_the_model_of_a_target_is_taken_out(tmp_path):
    both = _both(tmp_path)
    (tmp_path / "apart").mkdir()
    assert read_manifest(take_out(both, "cosy", tmp_path / "apart"))["target"] == "cosy"
    assert take_out(tmp_path / "0.rung", "price", tmp_path / "apart") == tmp_path / "0.rung"
    with pytest.raises(DataError, match="no model of 'rosy'; did you mean cosy"):
        take_out(both, "rosy", tmp_path / "apart")
    with pytest.raises(DataError, match="predicts 'price', not 'cosy'"):
        take_out(tmp_path / "0.rung", "cosy", tmp_path / "apart")


def test_a_model_within_that_cannot_be_loaded_is_called_by_file_and_target(tmp_path):
    both = _both(tmp_path)
    with pytest.raises(DataError, match=r"m\.rung \(its model of 'price'\) is damaged \(.*schema.json"):
        load_several(both)


def test_a_check_of_several_targets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _frame().assign(gone=1.0).to_csv("homes.csv", index=False)
    words = ["check", "homes.csv", "--target", "price,cosy", "--report", "c.html"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("150 rows, 5 columns beside") == 2, "each sees none of the others"
    assert (tmp_path / "c-price.html").exists()
    result = CliRunner().invoke(app, [*words[:4], "--json"])
    assert list(json.loads(result.stdout)["targets"]) == ["price", "cosy"]
    result = CliRunner().invoke(app, ["check", "homes.csv", "--target", "price,cozy"])
    assert result.exit_code == 2


def test_a_column_whose_name_has_a_comma_is_one_target(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _frame()[["a", "b", "price"]].rename(columns={"price": "a,b"}).to_csv("t.csv", index=False)
    result = CliRunner().invoke(app, ["fit", "t.csv", "--target", "a,b", "--budget", "1"])
    assert result.exit_code == 0, result.output
    assert rung.load("model.rung").target == "a,b"
