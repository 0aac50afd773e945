"""What other libraries' names are called here: said where a study, a result or a trial is asked for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

T = TypeVar("T")

_FOUND: Final = {
    "best_params": "it is {}best.config",
    "best_config": "it is {}best.config",
    "best_value": "it is {}best.value",
    "best_trial": "it is {}best",
    "best_result": "it is {}best",
    "get_best_result": "it is {}best",
}
RESULT: Final = {
    **{name: hint.format("result.") for name, hint in _FOUND.items()},
    "best_trials": "it is result.front",
    "trials_dataframe": "it is result.to_frame()",
    "get_dataframe": "it is result.to_frame()",
}
STUDY: Final = {
    **{name: hint.format("study.") for name, hint in _FOUND.items()},
    "best_trials": "it is study.result.front",
    "trials": "it is study.result.trials",
    "trials_dataframe": "it is study.result.to_frame()",
    "optimize": "it is study.run(objective), or rung.tune(objective, space, ...)",
    "enqueue_trial": "it is study.enqueue(config)",
    "add_trial": "it is study.tell(config, value)",
    "set_user_attr": "it is study.record(topic, data)",
}
TRIAL: Final = {
    "params": "it is .config",
    "values": "it is .metrics, by name",
    "user_attrs": "it is .attributes",
    "intermediate_values": "it is .observations",
    "duration": "it is .timing.ended - .timing.started, in seconds",
    "error": "it is .timing.message",
}


def called_elsewhere(what: str, hints: Mapping[str, str]) -> Callable[[type[T]], type[T]]:
    """Have a class answer an attribute that it lacks with the name that it has here, if there is one."""

    def missing(thing: T, name: str) -> Any:
        if name in hints:
            raise AttributeError(f"{what} has no {name!r}: {hints[name]}", name=name, obj=thing)
        return object.__getattribute__(thing, name)  # raises as ever, also what a property raised

    def decorated(kind: type[T]) -> type[T]:
        kind.__getattr__ = missing  # type: ignore[attr-defined]  # a type checker is to see what there is
        return kind

    return decorated
