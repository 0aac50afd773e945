"""What a row's cells mean does not depend on which other rows are in its table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rung.cli.predict import read_for
from rung.tabular.columns import as_they_stand, infer_columns
from rung.tabular.encode import encode
from rung.tabular.explain.scores import judge
from rung.tabular.read import read_table
from rung.tabular.task import guess_task
from support.tables import fitted


@pytest.fixture
def levels() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": rng.choice(["1", "2", "3+", "unknown"], 200),
            "version": rng.choice(["1.0", "2.0", "2.10", "3.0b"], 200),
            "rate": rng.choice(["5%", "10%", "bespoke"], 200),
            "tags": [f"{i % 50}.0|{i % 7}.50" if i % 9 else "1.50" for i in range(200)],
            "z": np.arange(200) / 10,
        }
    )


def test_levels_of_a_file_are_read_as_in_the_whole_table(levels: pd.DataFrame, tmp_path: Path) -> None:
    levels.to_csv(tmp_path / "all.csv", index=False)
    frame = read_table(tmp_path / "all.csv")
    columns = infer_columns(frame)
    assert as_they_stand(columns) == ("size", "version", "rate", "tags")
    encoder, whole = encode(frame, columns)
    for row in range(40):
        levels.iloc[[row]].to_csv(tmp_path / "one.csv", index=False)
        one = encoder.transform(read_table(tmp_path / "one.csv", as_they_stand(columns)))
        assert one.codes.tolist() == whole.codes[[row]].tolist()
        assert one.words.toarray().tolist() == whole.words[[row]].toarray().tolist()


def test_numbers_that_are_asked_to_be_levels_are_still_read_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,z\n" + "".join(f"{i % 3},{i}.5\n" for i in range(30)))
    frame = read_table(tmp_path / "t.csv")
    columns = infer_columns(frame, asked={"x": "category"})
    assert as_they_stand(columns) == ()
    (tmp_path / "later.csv").write_text("x,z\n1.0,2\n2.0,3\n")
    encoder, _ = encode(frame, columns)
    assert (encoder.transform(read_table(tmp_path / "later.csv")).codes >= 0).all()


@pytest.mark.parametrize("later", [[0.5, 1.0, 1.5, 2.0], [1.0, 2.0, 4.5, 1e300]])
def test_a_number_is_the_same_level_whatever_is_beside_it(later: list[float]) -> None:
    frame = pd.DataFrame({"x": [0.5, 1.0, 1.5, 2.0] * 9, "z": np.arange(36.0)})
    encoder, _ = encode(frame, infer_columns(frame, asked={"x": "category"}))
    assert encoder.levels[0].tolist() == ["0.5", "1", "1.5", "2"]
    batch = pd.DataFrame({"x": later, "z": 0.0})
    alone = [encoder.transform(batch.iloc[[i]]).codes[0, 0] for i in range(4)]
    assert encoder.transform(batch).codes[:, 0].tolist() == alone
    assert alone == [{0.5: 0, 1.0: 1, 1.5: 2, 2.0: 3}.get(x, -1) for x in later]


def test_a_label_is_known_by_what_is_written() -> None:
    task = guess_task(pd.Series(["1", "2", "3+"] * 9, name="y"))
    for some in ([1, 2], [1.0, 2.0], ["1", "2"]):
        assert task.encode(pd.Series(some)).tolist() == [0, 1]
    numbers = guess_task(pd.Series([1, 2, 3] * 9, name="y"))
    assert numbers.find(pd.Series(["1", "3", "x"])).tolist() == [0, 2, -1]


def test_a_file_of_some_of_the_classes_is_judged(tmp_path: Path) -> None:
    model, frame = fitted("multiclass")
    model.task = replace(model.task, classes=("1.0", "2.10", "x"))
    some = frame[frame["y"] < 3]
    some.assign(y=some["y"].map({1: "1.0", 2: "2.10"})).to_csv(tmp_path / "some.csv", index=False)
    judged = judge(model, read_for(model, str(tmp_path / "some.csv")))
    assert judged.y.tolist() == (some["y"] - 1).tolist()
