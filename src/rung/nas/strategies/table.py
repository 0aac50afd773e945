"""All strategies by name, and a strategy from its name and settings, remedies included."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, Literal

from rung.errors import UserError
from rung.nas.costs import Costs
from rung.nas.strategies.asap import Asap
from rung.nas.strategies.base import Strategy
from rung.nas.strategies.darts import FirstOrder, SecondOrder
from rung.nas.strategies.darts_pt import DartsPt
from rung.nas.strategies.described import COMPLETE
from rung.nas.strategies.eigenvalue import EarlyStop, window_of
from rung.nas.strategies.enas import Enas
from rung.nas.strategies.fair import Fair
from rung.nas.strategies.gdas import Gdas
from rung.nas.strategies.p_darts import PDarts
from rung.nas.strategies.pc_darts import PcDarts
from rung.nas.strategies.random_search import RandomSearch
from rung.nas.strategies.remedies import Limited, SkipDropout, Wrapper
from rung.nas.strategies.snas import Snas
from rung.nas.task import Weighted

STRATEGIES: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {
        "random": RandomSearch,
        "darts1": FirstOrder,
        "darts": SecondOrder,
        "asap": Asap,
        "snas": Snas,
        "gdas": Gdas,
        "pc_darts": PcDarts,
        "p_darts": PDarts,
        "darts_pt": DartsPt,
        "fair": Fair,
        "enas": Enas,
    }
)

_FIXED: Final = frozenset({"name", "form", "single_level", "inner"})
_ELSEWHERE: Final = frozenset({"price"})  # `rung.nas.thrift` sets it
_REMEDIES: Final[Mapping[str, Any]] = MappingProxyType(
    {"skip_dropout": float, "max_skips": int, "early_stop": bool}
)
_COUNTS: Final = frozenset({"samples", "hidden", "keep"})
_POSITIVE: Final = frozenset({"logit_temperature", "tanh_constant", "high", "low"})
_SHARES: Final = frozenset({"baseline_decay", "skip_dropout", "warmup", "dropout"})
_NOT_BELOW: Final = frozenset({"tune", "zero_one", "clip", "entropy_weight", "max_skips"})
_PRUNING: Final = "what it derives is what it pruned to"
_NOT_WITH: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("asap", "max_skips"): _PRUNING,
        ("asap", "early_stop"): _PRUNING,
        ("p_darts", "skip_dropout"): "it has one of its own, dropout, by stages",
        ("p_darts", "early_stop"): "its early architectures have operations that it prunes later",
        ("darts_pt", "max_skips"): _PRUNING,
        ("darts_pt", "early_stop"): "it does not derive by alphas",
        ("random", "early_stop"): "it has no alphas",
        ("enas", "early_stop"): "it has a controller and no alphas, whose loss would have a curvature",
    }
)


def make(name: str, settings: Mapping[str, Any] | None = None, epochs: int | None = None) -> Strategy:
    """A strategy with these settings; those that are not given have the papers' values.

    Args:
        name: in `STRATEGIES`.
        settings: its fields by name, and those remedies that go with it: `skip_dropout` (rate of the first
            epoch), `max_skips` (of a derived normal cell), `early_stop` (by the Hessian's eigenvalue).
        epochs: of the search; a schedule by epochs that is not set is scaled to them.

    Raises:
        UserError: there is no such strategy or setting, or a value is of the wrong kind.
    """
    if name not in STRATEGIES:
        raise UserError(unknown(name))
    kind, given = STRATEGIES[name], dict(settings or {})
    hints = typing.get_type_hints(kind)
    own = {field.name: hints[field.name] for field in fields(kind) if field.name not in _FIXED | _ELSEWHERE}
    remedies = {key: hint for key, hint in _REMEDIES.items() if key not in own}
    known = {**own, **remedies}
    values = {}
    for key, value in given.items():
        if key not in known:
            fit = sorted(each for each in known if each not in remedies or (name, each) not in _NOT_WITH)
            raise UserError(
                f"strategy {name!r} has no setting {key!r}: it has {', '.join(fit)}, and those of "
                "all, such as batch and rate"
            )
        if key in remedies and (name, key) in _NOT_WITH:
            raise UserError(f"{key} does not go with strategy {name!r}: {_NOT_WITH[name, key]}")
        values[key] = _in_range(name, key, _checked(name, key, value, known[key]))
    strategy: Strategy = kind(**{key: value for key, value in values.items() if key in own})
    if epochs is not None and isinstance(strategy, Asap) and "beta" not in values:
        strategy = strategy.scaled(epochs)
    return _remedied(strategy, {key: value for key, value in values.items() if key in remedies}, epochs)


def goes_with(name: str, setting: str) -> bool:
    """Whether a strategy with a supernet takes a setting: one of its own, or a remedy that goes with it."""
    kind = STRATEGIES.get(name)
    own = kind is not None and setting in {field.name for field in fields(kind)}
    return own or (kind is not None and setting in _REMEDIES and (name, setting) not in _NOT_WITH)


def unknown(name: str) -> str:
    """What to say of a strategy that there is not."""
    names = [*STRATEGIES, *COMPLETE]
    close = get_close_matches(str(name).lower(), names, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown strategy {name!r}: {hint}there are {', '.join(names)}"


def rescaled(strategy: Strategy, before: int, epochs: int) -> Strategy:
    """The same with its schedule stretched or shrunk to so many epochs; one that was set stays.

    Args:
        before: the epochs that it was made for.
    """
    if isinstance(strategy, EarlyStop):
        return replace(strategy, inner=rescaled(strategy.inner, before, epochs), window=window_of(epochs))
    if isinstance(strategy, Wrapper):
        return replace(strategy, inner=rescaled(strategy.inner, before, epochs))
    if isinstance(strategy, Asap):
        own = strategy.beta != strategy.scaled(before).beta
        return strategy if own else strategy.scaled(epochs)
    return strategy  # its schedule is in shares of the epochs


def settings_of(strategy: Strategy) -> dict[str, Any]:
    """What was set, wrappers' settings included: plain values by name, for a record."""
    found: dict[str, Any] = {}
    while True:
        for field in fields(strategy):  # type: ignore[arg-type]  # all are dataclasses
            value = _plain(getattr(strategy, field.name))
            if field.name not in _FIXED and value is not None:
                found.setdefault(_NAMES.get((type(strategy), field.name), field.name), value)
        if not isinstance(strategy, Wrapper):
            return found
        strategy = strategy.inner


def _plain(value: Any) -> Any:
    """As JSON has it: of a price its weight, of costs their unit, of anything else that is no number None."""
    if isinstance(value, Weighted):
        return value.weight
    if isinstance(value, Costs):
        return value.unit
    if isinstance(value, tuple) and all(isinstance(item, int | float | str) for item in value):
        return list(value)
    return value if isinstance(value, bool | int | float | str) else None


_NAMES: Final[Mapping[tuple[type[Any], str], str]] = MappingProxyType(
    {
        (SkipDropout, "rate"): "skip_dropout",
        (EarlyStop, "window"): "early_stop_window",
        (EarlyStop, "ratio"): "early_stop_ratio",
        (EarlyStop, "iterations"): "early_stop_iterations",
        (Limited, "limit"): "most",
        (Limited, "costs"): "resource",
    }
)


def _remedied(strategy: Strategy, remedies: Mapping[str, Any], epochs: int | None) -> Strategy:
    if remedies.get("skip_dropout"):
        strategy = SkipDropout(strategy, remedies["skip_dropout"])
    if "max_skips" in remedies:
        strategy = Limited(strategy, max_skips=remedies["max_skips"])
    if remedies.get("early_stop"):
        strategy = EarlyStop(strategy, window=window_of(epochs))
    return strategy


def _in_range(strategy: str, key: str, value: Any) -> Any:
    """The value, where it is one that can be worked with; of a list each."""
    if isinstance(value, tuple):
        return tuple(_in_range(strategy, key, each) for each in value)
    if key in _NOT_BELOW and not 0 <= value < math.inf:
        raise UserError(f"{key} of strategy {strategy!r} is at least 0, not {value!r}")
    if key in _COUNTS and value < 1:
        raise UserError(f"{key} of strategy {strategy!r} is at least 1, not {value!r}")
    if key in _POSITIVE and not 0 < value < math.inf:
        raise UserError(f"{key} of strategy {strategy!r} is above 0, not {value!r}")
    if key in _SHARES and not 0 <= value < 1:
        raise UserError(f"{key} of strategy {strategy!r} is at least 0 and below 1, not {value!r}")
    return value


def _checked(strategy: str, key: str, value: Any, hint: Any) -> Any:
    """The value, as its type has it: whole numbers become real ones, lists become tuples."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value in arguments:
            return value
        raise UserError(f"{key} of strategy {strategy!r} is {' or '.join(arguments)}, not {value!r}")
    if origin is tuple:
        if isinstance(value, list | tuple) and value:
            return tuple(_checked(strategy, key, item, arguments[0]) for item in value)
        raise UserError(f"{key} of strategy {strategy!r} is a list, not {value!r}")
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    real = hint is float and isinstance(value, int) and not isinstance(value, bool)
    if real or type(value) is hint:
        return float(value) if real else value
    raise UserError(f"{key} of strategy {strategy!r} is {words.get(hint, hint)}, not {value!r}")
