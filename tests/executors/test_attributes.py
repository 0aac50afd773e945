"""Attributes of a trial: which values, and that every kind of worker brings them into its record."""

import csv
import io
import math

import numpy as np
import pytest

import rung
from rung.cli.export import as_json, write_csv
from rung.errors import StudyError
from rung.executors.attributes import attribute
from rung.trials.codec import decode, encode

SPACE = {"x": rung.Float(0, 1)}


def train(trial):
    trial.set_attribute("parameters", np.int64(7))
    trial.set_attribute("folds", np.array([0.5, trial.number]))
    trial.set_attribute("parameters", 7 + trial.number)
    return trial.config["x"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.arange(2), [0, 1]),
        ((1, None, True, "ü"), [1, None, True, "ü"]),
        ({"a": {1: [2]}}, {"a": {"1": [2]}}),
        (2**64 - 1, 2**64 - 1),
        ("ü" * 65_534, "ü" * 65_534),
    ],
)
def test_plain_data_is_kept(given, kept) -> None:
    found = attribute(3, "a", given, 0.0).data["a"]
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("a", object(), "'a' holds something of type object"),
        ("a", {1, 2}, "'a' holds something of type set"),
        ("a", [[b"1"]], "'a' holds something of type bytes"),
        ("a", 2**64, "beyond 64 bits"),
        ("a", "x" * 70_000, "longer than 65,536 characters: write it to a file"),
        ("", 1, "an attribute's name must be text, not ''"),
        (3, 1, "an attribute's name must be text, not 3"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(name, value, said) -> None:
    with pytest.raises(StudyError, match=said):
        attribute(3, name, value, 0.0)


def test_a_list_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(StudyError, match="of type list"):
        attribute(0, "a", loop, 0.0)


@pytest.mark.parametrize("how", [{}, {"workers": 2}, {"workers": 2, "deterministic": 2}], ids=str)
def test_every_worker_tells_them(how, tmp_path) -> None:
    store = tmp_path / "rung.db"
    result = rung.tune(train, SPACE, trials=3, sampler="random", storage=store, study="s", quiet=True, **how)
    assert [record.attributes for record in result.trials] == [
        {"parameters": 7 + i, "folds": [0.5, i]} for i in range(3)
    ]
    frame = result.to_frame()
    assert frame["attribute.parameters"].tolist() == [7, 8, 9]
    again = rung.Study.open(store, "s")
    again.close()
    assert again.best is not None
    assert again.best.attributes == result.best.attributes


def test_by_ask_and_tell_also_when_the_trial_has_ended() -> None:
    study = rung.Study(SPACE, trials=2, sampler="random")
    job = study.ask()
    job.set_attribute("before", math.nan)
    study.tell(job, 0.5)
    job.set_attribute("after", {"a": [1]})
    other = study.ask()
    study.tell(other, 0.7)
    assert study.best.number == job.number
    assert study.result.trials[1].attributes == {}
    text = io.StringIO()
    write_csv(text, study.result.trials, 0, "loss")
    rows = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert [row["attribute.after"] for row in rows] == ['{"a": [1]}', ""]
    assert [row["attribute.before"] for row in rows] == ["NaN", ""]
    assert as_json(study.result.trials, 0)[0]["attributes"] == {"before": "NaN", "after": {"a": [1]}}


def test_a_program_prints_them(tmp_path) -> None:
    script = tmp_path / "train.sh"
    script.write_text(
        'printf \'rung: {"attributes": {"seen": [%s, null]}}\\n\' "$1"\n'
        'printf \'rung: {"loss": %s, "attributes": {"name": "ü"}}\\n\' "$1"\n'
    )
    command = rung.Command(f"sh {script} {{x}}")
    result = rung.tune(command, SPACE, trials=1, storage=tmp_path / "rung.db", quiet=True)
    x = result.best.config["x"]
    assert result.best.value == x
    assert result.best.attributes == {"seen": [x, None], "name": "ü"}


def test_text_that_is_no_unicode_does_not_break_the_log() -> None:
    kept = attribute(0, "half \ud800", ["\udfff"], 0.0)
    assert kept.data == {"half \\ud800": ["\\udfff"]}
    assert decode(encode(kept)) == kept


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (
            lambda trial: trial.suggest_float("x", 0, 1),
            "no 'suggest_float': parameters are declared",
        ),
        (lambda trial: trial.params["x"], "no 'params': it is trial.config"),
        (lambda trial: trial.set_user_attr("a", 1), "'set_user_attr': it is trial.set_attribute"),
        (lambda trial: trial.should_prune(), "'should_prune': trial.report.* raises rung.Stopped"),
        (lambda trial: trial.nothing, "a trial has no 'nothing'$"),
    ],
)
def test_names_of_optuna_are_explained(use, said, tmp_path) -> None:
    def objective(trial):
        assert not hasattr(trial, "suggest_int")
        return use(trial)

    with pytest.warns(UserWarning, match=said):
        rung.tune(objective, SPACE, trials=1, quiet=True)
