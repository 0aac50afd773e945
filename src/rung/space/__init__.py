"""What can be searched: domains, and the compiled form that encodes and decodes batches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

_HOMES: Final = {
    "AllOf": "rung.space.rules",
    "AnyOf": "rung.space.rules",
    "Beta": "rung.space.domains",
    "Categorical": "rung.space.domains",
    "Choice": "rung.space.domains",
    "Condition": "rung.space.rules",
    "Constant": "rung.space.domains",
    "Float": "rung.space.domains",
    "Forbidden": "rung.space.rules",
    "Integer": "rung.space.domains",
    "Is": "rung.space.rules",
    "Normal": "rung.space.domains",
    "Ordinal": "rung.space.domains",
    "Relation": "rung.space.rules",
    "Space": "rung.space.domains",
    "compile_space": "rung.space.compiled",
    "from_configspace": "rung.space.configspace",
    "from_json": "rung.space.schema",
    "load_space": "rung.space.files",
    "to_configspace": "rung.space.configspace",
    "to_json": "rung.space.schema",
}

__all__ = [*sorted(_HOMES)]  # the names above, kept in one place

if TYPE_CHECKING:
    from rung.space.compiled import compile_space as compile_space
    from rung.space.configspace import from_configspace as from_configspace
    from rung.space.configspace import to_configspace as to_configspace
    from rung.space.domains import Beta as Beta
    from rung.space.domains import Categorical as Categorical
    from rung.space.domains import Choice as Choice
    from rung.space.domains import Constant as Constant
    from rung.space.domains import Float as Float
    from rung.space.domains import Integer as Integer
    from rung.space.domains import Normal as Normal
    from rung.space.domains import Ordinal as Ordinal
    from rung.space.domains import Space as Space
    from rung.space.files import load_space as load_space
    from rung.space.rules import AllOf as AllOf
    from rung.space.rules import AnyOf as AnyOf
    from rung.space.rules import Condition as Condition
    from rung.space.rules import Forbidden as Forbidden
    from rung.space.rules import Is as Is
    from rung.space.rules import Relation as Relation
    from rung.space.schema import from_json as from_json
    from rung.space.schema import to_json as to_json


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rung.space' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
