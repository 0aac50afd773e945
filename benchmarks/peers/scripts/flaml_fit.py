"""FLAML: its AutoML as it comes, given the time that is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contest import Answer, Order, contest, pickled_size, words_to_categories

ABOUT = {
    "requirements": ["flaml[automl,catboost]>=2.7,<3"],
    "note": "AutoML for tables: one model, found by CFO over its learners",
    "systems": {},
}


def fit(order: Order) -> Answer:
    from flaml import AutoML

    train, test = words_to_categories(order.train, order.test)
    automl = AutoML()
    automl.fit(
        X_train=train.drop(columns=order.target),
        y_train=train[order.target],
        task="regression" if order.task == "regression" else "classification",
        metric={"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}[order.task],
        time_budget=order.left(),
        n_jobs=order.threads,
        seed=order.seed,
        verbose=0,
        log_file_name="flaml.log",
    )

    def predict(rows: Any) -> Any:
        return automl.predict(rows) if order.task == "regression" else automl.predict_proba(rows)

    def size(folder: Path) -> int:
        return pickled_size(automl, folder)

    classes = None if order.task == "regression" else list(automl.classes_)
    return Answer(predict, classes, size, test, str(automl.best_estimator))


if __name__ == "__main__":
    contest(fit, ["flaml", "flaml.automl"])
