"""LightGBM with the library's defaults; words are categories to it."""

from __future__ import annotations

from typing import Any

from contest import Answer, Order, contest, pickled_size, words_to_categories


def fit(order: Order) -> Answer:
    import lightgbm

    train, test = words_to_categories(order.train, order.test)
    train.columns = [str(i) if name != order.target else name for i, name in enumerate(train.columns)]
    kind = lightgbm.LGBMRegressor if order.task == "regression" else lightgbm.LGBMClassifier
    model = kind(n_jobs=order.threads, random_state=order.seed, verbosity=-1)
    model.fit(train.drop(columns=order.target), train[order.target])
    names = [name for name in train.columns if name != order.target]

    def predict(rows: Any) -> Any:
        rows = rows.set_axis(names, axis=1)
        return model.predict(rows) if order.task == "regression" else model.predict_proba(rows)

    classes = None if order.task == "regression" else list(model.classes_)
    return Answer(predict, classes, lambda folder: pickled_size(model, folder), test)


if __name__ == "__main__":
    contest(fit, ["lightgbm"])
