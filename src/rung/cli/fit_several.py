"""`rung fit` with several targets: `--target price,rooms`."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rung.cli import output
from rung.cli.fit_order import Order
from rung.cli.fit_outcome import prediction
from rung.cli.sizes import spoken_size


def targets_of(table: str, target: str) -> list[str]:
    """The columns that `target` names: itself, or where there is no such column its parts between commas.

    Raises:
        DataError: the table cannot be read, or a part is no column or named twice.
    """
    if "," not in target or (table != "-" and not Path(table).exists()):
        return [target]
    from rung.tabular.read import read_table

    return parts_of(target, [str(name) for name in read_table(table, used=lambda _: False).columns])


def parts_of(target: str, names: list[str]) -> list[str]:
    """The columns that `target` names: itself, or where there is no such column its parts between commas.

    Args:
        names: of the table's columns.

    Raises:
        DataError: a part is no column or named twice.
    """
    from rung.tabular.several import check_targets

    parts = [part.strip() for part in target.split(",") if part.strip()]
    if target in names or len(parts) < 2:
        return [target]
    check_targets(parts, names)
    return parts


def beside(report: Path, target: str) -> Path:
    """Where one target's report goes, of several."""
    return report.with_name(f"{report.stem}-{target}{report.suffix}")


def run_several(
    order: Order,
    targets: list[str],
    check: Callable[[Sequence[Order]], None],
    run: Callable[[Order, float], None],
) -> None:
    """Fit one target after the other, each with its share of the budget, and write one model file.

    Args:
        check: refuses, before the first is fitted, what cannot be done of the orders.
        run: fits one target, given its order and when it began (monotonic).
    """
    from rung.storage.whole import to_replace
    from rung.tabular.several import save_several

    report, whole = Path(order.report), Path(order.out)
    with tempfile.TemporaryDirectory(dir=Path(order.out).absolute().parent) as folder:
        files = {target: Path(folder) / f"{number}.rung" for number, target in enumerate(targets)}
        orders = [
            dataclasses.replace(
                order,
                target=target,
                budget=order.budget / len(targets),
                out=str(files[target]),
                alone=str(whole.with_name(f"{whole.stem}-{target}{whole.suffix}")),
                report=str(beside(report, target)),
                wishes=dataclasses.replace(
                    order.wishes, drop=(*order.wishes.drop, *(name for name in targets if name != target))
                ),
            )
            for target in targets
        ]
        check(orders)
        for number, one in enumerate(orders):
            output.say(f"target {number + 1} of {len(targets)}: {one.target}")
            run(one, time.monotonic())
        save_several(files, to_replace(order.out, "--out"))
    output.say(f"model   {order.out} ({spoken_size(whole.stat().st_size)}), of {len(targets)} targets")
    output.say(f"next    {prediction(order)}")
