"""rung's default beside its peers, on problems fixed beforehand that are nobody's own."""

from __future__ import annotations

from typing import Final

from benchmarks.experiments import Experiment, Plan
from benchmarks.systems import Setting

RESOURCE: Final = (
    "counting ones 8+8",
    "recorded lightgbm",
    "recorded nets-letter",
    "recorded convnet",
    "recorded svm-optdigits",
)
PLAIN: Final = (
    "public australian",
    "public blood_transfusion",
    "public car",
    "public kc1",
    "public phoneme",
    "public vehicle",
    "public naval_propulsion",
    "public parkinsons_telemonitoring",
    "public slice_localization",
    "public cifar10",
    "noisy",
    "noisy mixed",
    "conditional",
    "ackley40",
)
CHEAP: Final = ("rung", "rung random", "rung bohb", "optuna", "hpbandster", "dehb")
DEAR: Final = ("smac", "ax", "syne-tune", "neps")  # seconds a decision, so fewer seeds
WORKERS: Final = (1, 16)
EVALUATIONS: Final = 40


def _plan(systems: tuple[str, ...], seeds: int) -> Plan:
    settings = tuple(Setting(workers=workers, evaluations=EVALUATIONS) for workers in WORKERS)
    return Plan(RESOURCE + PLAIN, systems, settings, seeds)


ENTRIES: Final = {
    "ahead": Experiment(
        "rung's default beside its peers, alone and with 16 workers",
        full=(_plan(CHEAP, 10), _plan(DEAR, 2)),
        quick=(
            Plan(
                ("counting ones 4+4", "noisy mixed"),
                (*CHEAP, *DEAR),
                (Setting(evaluations=6),),
                1,
            ),
        ),
        minutes=120,
    ),
}
