"""`rung fit` with several targets: what Ctrl-C leaves, one document of JSON, and the studies' names."""

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import Result

from rung.cli.fit_progress import FitProgress
from rung.errors import DataError
from rung.study.study import Study
from rung.tabular.several import load_any
from rung.trials.events import Event, Reported, StopDecided

Rung = Callable[..., Result]
ASKED = ("--include", "linear", "--workers", 1)


@pytest.fixture
def homes(folder: Path) -> str:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 2)), columns=["a", "b"])
    frame["price"] = frame.a * 3 + frame.b
    frame["cosy"] = np.where(frame.a > 0, "yes", "no")
    frame["loud"] = np.where(frame.b > 0, "yes", "no")
    frame.to_csv(folder / "homes.csv", index=False)
    return "homes.csv"


def ctrl_c(monkeypatch: pytest.MonkeyPatch, target: str, *kinds: type[Event]) -> None:
    """At the first event of each kind in the log of one target's fit."""
    waited = list(kinds)

    def called(self: FitProgress, study: Study, events: Sequence[Event]) -> None:
        original(self, study, events)
        of = study.history.records["command"][-1].data["target"]
        if of == target and any(isinstance(event, kind) for event in events for kind in waited[:1]):
            waited.pop(0)
            signal.raise_signal(signal.SIGINT)

    original = FitProgress.__call__
    monkeypatch.setattr(FitProgress, "__call__", called)


def fit(rung: Rung, table: str, targets: str, *more: object) -> Result:
    return rung("fit", table, "--target", targets, "--budget", 6, "--trials", 3, *ASKED, *more)


def test_ctrl_c_keeps_the_models_that_are_done(
    homes: str, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ends the target under way with what it has; those after it are not begun."""
    ctrl_c(monkeypatch, "cosy", Reported)
    done = fit(rung, homes, "price,cosy,loud")
    assert done.exit_code == 130, done.stderr
    assert list(load_any("model.rung").models) == ["price", "cosy"]
    assert "of 2 of 3 targets: price, cosy" in done.stderr
    assert "interrupted; what was found is saved; there is no model of loud. Go on with cosy alone, into" in (
        done.stderr
    )
    assert "target 3 of 3" not in done.stderr
    assert sorted(path.name for path in Path().glob("report*")) == ["report-cosy.html", "report-price.html"]


def test_the_second_ctrl_c_keeps_them_too(homes: str, rung: Rung, monkeypatch: pytest.MonkeyPatch) -> None:
    ctrl_c(monkeypatch, "cosy", Reported, StopDecided)
    done = fit(rung, homes, "price,cosy")
    assert done.exit_code == 130, done.stderr
    assert list(load_any("model.rung").models) == ["price"]
    assert "of 1 of 2 targets: price" in done.stderr


def test_what_goes_wrong_later_costs_no_model(
    homes: str, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, *_: object) -> None:
        if "cosy" in path:
            raise DataError(f"{path} cannot be written (No space left on device)")
        Path(path).write_text("a report")

    monkeypatch.setattr("rung.tabular.report.write_report", full)
    done = fit(rung, homes, "price,cosy")
    assert done.exit_code == 2
    assert list(load_any("model.rung").models) == ["price", "cosy"]


def test_json_is_one_document(homes: str, rung: Rung, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the targets that have a model, by name."""
    done = fit(rung, homes, "price,cosy", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)["targets"]
    assert {target: one["task"] for target, one in found.items()} == {"price": "regression", "cosy": "binary"}
    assert {one["model"] for one in found.values()} == {"model.rung"}
    assert found["cosy"]["report"] == "report-cosy.html"
    ctrl_c(monkeypatch, "price", Reported)
    cut = fit(rung, homes, "price,cosy", "--json")
    assert cut.exit_code == 130, cut.stderr
    assert list(json.loads(cut.stdout)["targets"]) == ["price"]


def test_each_target_has_a_study_of_its_name(homes: str, rung: Rung) -> None:
    done = fit(rung, homes, "price,cosy", "--study", "mine", "--json")
    assert done.exit_code == 0, done.stderr
    assert "target 2 of 2: cosy (study mine-cosy)" in done.stderr
    studies = {target: one["study"] for target, one in json.loads(done.stdout)["targets"].items()}
    assert studies == {"price": "mine-price", "cosy": "mine-cosy"}
    assert rung("show", "mine-cosy").exit_code == 0


def test_a_name_that_no_study_can_have_is_refused_first(homes: str, rung: Rung) -> None:
    done = fit(rung, homes, "price,cosy", "--study", "m" * 200)
    assert done.exit_code == 2
    assert "cannot name a study" in done.stderr
    assert [path.name for path in Path().iterdir()] == [homes]
