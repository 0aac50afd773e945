"""Rows that are the same in every cell are held out together, whatever kinds of columns there are."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from rung.tabular.encode import Table
from rung.tabular.grouping import duplicates
from rung.tabular.plan import Scheme
from rung.tabular.pretrained.embedder import Embedder, make_embedder
from rung.tabular.ready import Ready, make_ready
from rung.tabular.request import Request
from support.tiny_models import make_bert, reviews


def _ready(frame: pd.DataFrame, request: Request, embedder: Embedder | None = None) -> Ready:
    return make_ready(
        frame, "target", request, 0, 0.2, lambda rows, *_: Scheme(4, 0.2, rows, {}), embedder
    )  # fmt: skip


def _check_apart(frame: pd.DataFrame, ready: Ready) -> None:
    """Copies are on one side of the holdout, and in one fold."""
    rows = frame.fillna("").astype(str).agg("|".join, axis=1).to_numpy()
    assert set(rows[ready.train]).isdisjoint(rows[ready.test])
    folds = pd.Series(ready.dataset.split.folds).groupby(rows[ready.train])
    assert (folds.size() == 2).all()
    assert (folds.nunique() == 1).all()


def _twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame]).sample(frac=1, random_state=1).reset_index(drop=True)


def test_copies_of_a_table_with_a_text_are_held_out_together() -> None:
    frame = reviews(160)
    frame.loc[::10, "review"] = None
    frame = _twice(frame)
    ready = _ready(frame, Request())
    assert [column.kind for column in ready.columns].count("text") == 1
    _check_apart(frame, ready)


def test_copies_of_a_table_with_embeddings_are_held_out_together(tmp_path) -> None:
    pytest.importorskip("transformers", reason="the tiny models are transformers' own")
    model = str(make_bert(tmp_path / "bert"))
    frame = _twice(reviews(160).drop_duplicates("review"))
    request = Request(embed={"review": model})
    ready = _ready(frame, request, make_embedder(request.embed, 600.0, time.monotonic(), 0))
    assert ready.dataset.table.numbers.shape[1] > 1
    _check_apart(frame, ready)


def test_rows_with_other_texts_are_no_copies() -> None:
    table = Table(np.ones((5, 1)), np.zeros((5, 1), dtype=np.int32))
    groups = duplicates(table, pd.DataFrame({"note": ["a b c", "a b d", "a b c", None, None]}))
    assert groups is not None
    assert groups[0] == groups[2] != groups[1]
    assert groups[3] == groups[4] != groups[0]
