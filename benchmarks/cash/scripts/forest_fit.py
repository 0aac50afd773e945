"""scikit-learn's random forest with its defaults: medians for missing numbers, ordinal codes for words."""

from __future__ import annotations

from contest import Answer, Order, contest, pickled_size


def fit(order: Order) -> Answer:
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    coded = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    prepared = make_column_transformer(
        (SimpleImputer(strategy="median"), make_column_selector(dtype_include="number")),
        (coded, make_column_selector(dtype_exclude="number")),
    )
    kind = RandomForestRegressor if order.task == "regression" else RandomForestClassifier
    forest = kind(n_jobs=order.threads, random_state=order.seed)
    model = make_pipeline(prepared, forest)
    model.fit(order.train.drop(columns=order.target), order.train[order.target])
    predict = model.predict if order.task == "regression" else model.predict_proba
    classes = None if order.task == "regression" else list(model.classes_)
    return Answer(predict, classes, lambda folder: pickled_size(model, folder), order.test)


if __name__ == "__main__":
    contest(fit, ["sklearn.ensemble"])
