"""How a system that fits tables is run, in whatever environment: an order in, predictions and facts out.

`python <system>_fit.py order.json`: the order names the files and the budget, see `Order`. The script
writes `predictions.npy` into the order's folder, (n, k) probabilities or (n,) values, and `facts.json`: when
what was done, the classes in the order of the columns, the model's size, and the time for 1,000 rows.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

ROWS = 1_000  # whose prediction is timed
REPEATS = 3  # of which the fastest counts
RESERVE = 0.5  # seconds of the budget that every system leaves for predicting and writing


@dataclass
class Order:
    """What is to be done.

    Attributes:
        started: monotonic time just before the process was started; the budget counts from it.
        budget: seconds, to the written predictions; 0 for none.
        task: "binary", "multiclass" or "regression".
        threads: cores that there are.
        option: what of the system is meant, such as a preset.
    """

    folder: str
    target: str
    task: str
    budget: float
    seed: int
    threads: int
    started: float
    option: str = ""
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def train_path(self) -> Path:
        return Path(self.folder) / "train.csv"

    @property
    def test_path(self) -> Path:
        return Path(self.folder) / "test.csv"

    @cached_property
    def train(self) -> Any:
        """The training rows, the target among the columns."""
        import pandas as pd

        return pd.read_csv(self.train_path, low_memory=False)

    @cached_property
    def test(self) -> Any:
        """The test rows, without the target."""
        import pandas as pd

        return pd.read_csv(self.test_path, low_memory=False)

    def left(self) -> float:
        """Seconds that a system may fit for."""
        return max(self.budget - RESERVE - self.elapsed(), 1.0)

    def elapsed(self) -> float:
        """Seconds since the process was started."""
        return time.monotonic() - self.started


@dataclass
class Answer:
    """A fitted system.

    Attributes:
        predict: from rows like `test` to probabilities (n, k) or values (n,).
        classes: in the order of the probabilities; None for regression.
        size: bytes of the model, written below the folder that it is given.
        test: the test rows as `predict` takes them.
        note: what won, in a few words.
    """

    predict: Callable[[Any], Any]
    classes: list[Any] | None
    size: Callable[[Path], int]
    test: Any
    note: str = ""


def contest(fit: Callable[[Order], Answer], imports: Sequence[str]) -> None:
    """The whole way; what is measured after the predictions are written costs the system nothing."""
    import numpy as np

    with Path(sys.argv[1]).open() as file:
        order = Order(**json.load(file))
    os.chdir(order.folder)
    for name in imports:
        import_module(name)
    order.steps["imported"] = order.elapsed()
    answer = fit(order)
    order.steps["fitted"] = order.elapsed()
    predictions = np.asarray(answer.predict(answer.test), dtype=np.float64)
    np.save("unfinished.npy", predictions)
    Path("unfinished.npy").replace("predictions.npy")
    order.steps["written"] = order.elapsed()
    classes = None if answer.classes is None else [str(one) for one in answer.classes]
    facts: dict[str, Any] = {
        "steps": order.steps,
        "classes": classes,
        "note": answer.note,
        "versions": _versions(imports),
    }
    _write(facts)
    facts["milliseconds"] = _milliseconds(answer)
    Path("model").mkdir(exist_ok=True)
    facts["bytes"] = answer.size(Path("model"))
    _write(facts)


def _write(facts: dict[str, Any]) -> None:
    Path("unfinished.json").write_text(json.dumps(facts))
    Path("unfinished.json").replace("facts.json")


def _versions(imports: Sequence[str]) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        name = (
            imports[0].replace(".", "-") if imports[0].startswith("autogluon") else imports[0].split(".")[0]
        )
        return version("scikit-learn" if name == "sklearn" else name)
    except PackageNotFoundError:
        return ""


def _milliseconds(answer: Answer) -> float:
    """For `ROWS` rows at once, test rows repeated where there are fewer."""
    import numpy as np

    rows = answer.test.iloc[np.resize(np.arange(len(answer.test)), ROWS)].reset_index(drop=True)
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        answer.predict(rows)
        best = min(best, time.perf_counter() - began)
    return 1000.0 * best


def pickled_size(model: Any, folder: Path) -> int:
    """Bytes of a model as its pickle."""
    with (folder / "model.pkl").open("wb") as file:
        pickle.dump(model, file)
    return folder_size(folder)


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def words_to_categories(train: Any, test: Any) -> tuple[Any, Any]:
    """Columns of words as pandas categories with the levels of the training rows, as these libraries ask."""
    import pandas as pd

    train, test = train.copy(), test.copy()
    for name in test.columns:
        if not pd.api.types.is_numeric_dtype(train[name]) or pd.api.types.is_bool_dtype(train[name]):
            words = train[name].astype("string")
            levels = sorted(words.dropna().unique())
            train[name] = pd.Categorical(words, categories=levels)
            test[name] = pd.Categorical(test[name].astype("string"), categories=levels)
    return train, test
