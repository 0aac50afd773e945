"""A table without rows, which a filter may leave, has no predictions, whatever its columns are."""

import numpy as np
import pandas as pd
import pytest

from rung.tabular.fit import fit_table

N = 200


def _table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    words = np.array(["lorem", "ipsum", "dolor", "sit", "amet", "elitr", "sed", "diam", "nonumy"])
    return pd.DataFrame(
        {
            "text": [" ".join(rng.choice(words, 6)) for _ in range(N)],
            "level": rng.choice(list("abc"), N),
            "day": pd.date_range("2020-01-01", periods=N),
            "x": rng.normal(size=N),
        }
    )


@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
def test_no_rows_have_no_predictions(learner: str) -> None:
    frame = _table()
    classes = frame.assign(y=np.where(frame.x > 0, "yes", "no"))
    model = fit_table(classes, "y", trials=1, include=[learner]).model
    assert model.predict(frame.iloc[:0]).shape == (0,)
    assert model.predict_proba(frame.iloc[:0]).shape == (0, 2)
    numbers = frame.assign(y=frame.x * 2)
    assert fit_table(numbers, "y", trials=1, include=[learner]).model.predict(frame.iloc[:0]).shape == (0,)
