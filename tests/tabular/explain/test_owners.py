"""What a matrix's columns are made of, against trying: which of them change with a column of the table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from rung.tabular.columns import infer_columns, prepare
from rung.tabular.encode import encode
from rung.tabular.explain.owners import owners, sources
from rung.tabular.preparation import Needs, Target, make_preparation

TREES = Needs(missing=True)
WAYS: list[tuple[Needs, Mapping[str, str]]] = [
    (Needs(missing=True, native=True), {"categories": "native"}),
    (TREES, {"categories": "onehot"}),
    (TREES, {"categories": "ordinal"}),
    (TREES, {"categories": "target"}),
    (TREES, {"categories": "hash"}),
    (Needs(), {"categories": "onehot", "reduce": "select"}),
    (TREES, {"categories": "target", "expand": "pairs"}),
    (Needs(), {"categories": "onehot", "impute": "median"}),
    (Needs(), {"categories": "target", "expand": "squares"}),
    (Needs(), {"categories": "onehot", "impute": "iterative"}),
    (Needs(scaled=True), {"categories": "onehot", "scale": "quantile", "reduce": "pca"}),
    (Needs(scaled=True), {"categories": "onehot", "scale": "smooth", "reduce": "select"}),
]


def cells(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "first": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
            "second": rng.normal(size=rows).cumsum(),
            "word": rng.choice(list("abcdef"), rows),
            "other": rng.choice(list("xyz"), rows),
            "day": pd.to_datetime(rng.integers(0, 10**9, rows), unit="s").strftime("%Y-%m-%d %H:%M"),
            "text": [f"some words {i} and {rng.integers(90)} more of them" for i in range(rows)],
        }
    )


@pytest.mark.parametrize(("needs", "ways"), WAYS, ids=["-".join(way.values()) for _, way in WAYS])
@pytest.mark.parametrize("classes", [0, 3])
def test_what_a_column_changes_is_made_of_it(needs: Needs, ways: Mapping[str, str], classes: int) -> None:
    frame = cells()
    columns = infer_columns(frame.assign(y=0.0), "y")
    encoder, table = encode(frame, columns)
    signal = np.nan_to_num(frame["first"].to_numpy()) * frame["second"].to_numpy() + (frame["word"] == "a")
    y = np.digitize(signal, np.quantile(signal, [0.3, 0.6])).astype(float) if classes else signal.to_numpy()
    preparation = make_preparation(needs, ways, encoder.sizes, 0)
    preparation.fit_transform(table, Target(y, classes))
    known = prepare(frame, columns)
    assert set(known) == set(frame)
    matrix = preparation.transform(encoder.arrays(known))
    changes = []
    for name in known:
        other = known.assign(**{name: known[name].sample(frac=1, random_state=3, ignore_index=True)})
        new = preparation.transform(encoder.arrays(other))
        changes.append(~np.isclose(new, matrix, rtol=0, atol=1e-12, equal_nan=True).all(axis=0))
    seen = np.array(changes).T
    made = sources(encoder, preparation)
    assert made.shape == seen.shape
    assert not (seen & ~made).any()  # nothing changes a column that it is not of
    alone = made.sum(axis=1) == 1
    assert (seen[alone] == made[alone])[matrix[:, alone].std(axis=0) > 0].all()
    found = owners(encoder, preparation)
    assert (found is None) == bool((made.sum(axis=1) > 1).any())
    if found is not None:
        assert [bool(made[k, j]) for k, j in enumerate(found)] == made.any(axis=1).tolist()
