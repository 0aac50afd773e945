"""One worker (ASHA, 4.1): does it hurt to promote without waiting? Beside SHA, Hyperband, BOHB and PBT.

The two spaces are the paper's, in a form that two cores could record: a small net with the space of
cuda-convnet, and small architectures.

Population based training on a table is an approximation: a child goes on from the resource that its parent
had reached, on the recorded curve of its own configuration, as if it had been trained with that from the
start. What a schedule of values is worth by itself does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.experiments import Claim, Experiment, Plan
from benchmarks.experiments.judging import Said, ahead, group, not_behind
from benchmarks.experiments.rows import Row
from benchmarks.systems import Setting

_PROBLEMS: Final = ("smooth convnet", "smooth small-cnn")
_SYSTEMS: Final = (
    "rung asha",
    "rung sha",
    "rung hyperband",
    "rung async-hyperband",
    "rung bohb",
    "rung pbt 25",
)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Not behind the synchronous ones; ahead of population based training."""
    source, found = "ASHA, 4.1", []
    for name, system in (("SHA", "rung sha"), ("Hyperband", "rung hyperband"), ("BOHB", "rung bohb")):
        said = Said(f"one worker: asynchrony does not hurt, ASHA is not behind {name}", source)
        found.append(not_behind(said, rows, group("rung asha"), group(system)))
    said = Said("nor is asynchronous Hyperband behind Hyperband", source)
    found.append(not_behind(said, rows, group("rung async-hyperband"), group("rung hyperband")))
    said = Said("one worker: ASHA is ahead of population based training", source)
    found.append(ahead(said, rows, group("rung asha"), group("rung pbt 25")))
    return found


ENTRIES: Final = {
    "asha-sequential": Experiment(
        "one worker, two spaces of convolutional nets (ASHA, 4.1)",
        full=(Plan(_PROBLEMS, _SYSTEMS, (Setting(evaluations=60),), 20),),
        quick=(Plan(_PROBLEMS, _SYSTEMS, (Setting(evaluations=8),), 2),),
        minutes=5,
        claims=claims,
    ),
}
