"""`rung fit --embed` and `rung predict` after it, in this process."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from rung.cli.app import app
from rung.cli.wishes import Wishes, folders
from rung.errors import UserError
from support.tiny_models import make_bert, reviews

pytest.importorskip("transformers", reason="the tiny models are transformers' own")


def _rung(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_from_a_table_to_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_bert(tmp_path / "bert", classes=3)
    reviews(120).to_csv("reviews.csv", index=False)
    fitted = _rung(
        "fit", "reviews.csv", "--target", "target", "--embed", "review=bert", "--budget", "5s",
        "--include", "linear", "--workers", "1",
    )  # fmt: skip
    assert fitted.exit_code == 0, fitted.output
    said = " ".join(fitted.stderr.split())
    assert "column 'review' is embedded with bert (16 numbers): LogME" in said
    assert "LEEP" in said
    assert "LOAD REPORT" not in said
    assert _rung("predict", "model.rung", "reviews.csv", "--out", "p.csv").exit_code == 0
    predictions = pd.read_csv("p.csv")["prediction"]
    assert (predictions == reviews(120)["target"]).mean() > 0.9
    (tmp_path / "bert" / "config.json").unlink()
    refused = _rung("predict", "model.rung", "reviews.csv")
    assert refused.exit_code == 2
    assert "column 'review' needs the pretrained model bert" in " ".join(refused.stderr.split())


@pytest.mark.parametrize(
    ("word", "message"),
    [("review=nowhere", "there is no folder nowhere"), ("review", "--embed takes COLUMN=FOLDER")],
)
def test_what_is_wrong_is_said(
    word: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reviews(40).to_csv("reviews.csv", index=False)
    refused = _rung("fit", "reviews.csv", "--target", "target", "--embed", word, "--budget", "3s")
    assert refused.exit_code == 2
    assert message in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.output


def test_the_option_is_written_as_it_was_read() -> None:
    given = folders(["review=./minilm", "photo = /models/a=b"])
    assert given == {"review": "./minilm", "photo": "/models/a=b"}
    assert Wishes(embed=given).words() == ["--embed", "review=./minilm", "--embed", "photo=/models/a=b"]
    assert Wishes(embed=given).request(None, None).embed == given
    with pytest.raises(UserError, match="--embed takes COLUMN=FOLDER"):
        folders(["=x"])
