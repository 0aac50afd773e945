"""AutoGluon's tabular predictor, with the preset that the order names, given the time that is left.

Best quality runs without dynamic stacking: its trial fit uses up a budget of 10 s, often one of 30 s, and the
fit then fails; its message gives this advice. With ray, which only this preset uses, these fits failed alike
where they were tried, so it is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contest import Answer, Order, contest, folder_size

ABOUT = {
    "requirements": ["autogluon.tabular[lightgbm,catboost,xgboost,fastai]>=1.6,<1.7"],
    "note": "AutoML for tables: bags and stacks of many learners",
    "systems": {},
}


def fit(order: Order) -> Answer:
    from autogluon.tabular import TabularPredictor

    path = Path("autogluon").resolve()
    predictor = TabularPredictor(
        label=order.target,
        problem_type=order.task,
        eval_metric={"binary": "roc_auc", "multiclass": "log_loss", "regression": "root_mean_squared_error"}[
            order.task
        ],
        path=str(path),
        verbosity=0,
    ).fit(
        order.train,
        time_limit=order.left(),
        presets=order.option or "medium_quality",
        num_cpus=order.threads,
        num_gpus=0,
        **({"dynamic_stacking": False} if order.option == "best_quality" else {}),
    )

    def predict(rows: Any) -> Any:
        if order.task == "regression":
            return predictor.predict(rows).to_numpy()
        return predictor.predict_proba(rows).to_numpy()

    classes = None if order.task == "regression" else list(predictor.class_labels)
    return Answer(predict, classes, lambda _: folder_size(path), order.test, str(predictor.model_best))


if __name__ == "__main__":
    contest(fit, ["autogluon.tabular"])
