"""rung: `fit_table`, told when the process was started, as `rung fit` is."""

from __future__ import annotations

from pathlib import Path

from contest import RESERVE, Answer, Order, contest


def fit(order: Order) -> Answer:
    from rung.tabular.fit import fit_table
    from rung.tabular.model_file import save_model
    from rung.tabular.read import read_table
    from rung.tabular.task import check_target

    frame, _ = check_target(read_table(str(order.train_path)), order.target)
    test = read_table(str(order.test_path))
    result = fit_table(
        frame,
        order.target,
        budget=order.budget,
        task=order.task,
        seed=order.seed,
        workers=order.threads,
        started=order.started,
        reserve=RESERVE,
    )
    model = result.model

    def size(folder: Path) -> int:
        save_model(model, folder / "model.rung", {})
        return (folder / "model.rung").stat().st_size

    classes = None if order.task == "regression" else list(model.task.classes)
    note = f"{len(model.members)} of {result.trials} trials, {result.folds} folds"
    return Answer(model.raw, classes, size, test, note)


if __name__ == "__main__":
    contest(fit, ["rung", "rung.tabular.fit"])
