"""Hardware-aware search: what operations cost, put around a strategy as a price or as a limit.

A price is an expected cost beside the loss of the alphas (of ENAS' controller: a cost that its reward is less
by), in units of the whole supernet; a limit is on the
network that is retrained, so that what is derived can be used where it must fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple

from rung.errors import UserError
from rung.nas.costs import Costs, measured_costs, supernet_costs, supernet_parameters
from rung.nas.devices import from_first
from rung.nas.space import Space
from rung.nas.strategies.base import Strategy
from rung.nas.strategies.enas import Enas
from rung.nas.strategies.p_darts import PDarts
from rung.nas.strategies.remedies import Limited, Priced, Wrapper
from rung.nas.strategies.selection import Limits, check_limits
from rung.nas.task import Weighted

Resource = Literal["multiply_adds", "parameters", "latency"]

RESOURCES: Final = ("multiply_adds", "parameters", "latency")
SETTINGS: Final = ("price", "resource", "most")
_NO_ALPHAS: Final = "it has no alphas: set a limit (most) instead"
_NOT_PRICED: Final = {"random": _NO_ALPHAS}
_PRUNED: Final = "what it derives is what it pruned to: set a price instead"
_NOT_LIMITED: Final = {"asap": _PRUNED, "darts_pt": _PRUNED}


@dataclass(frozen=True)
class Thrift:
    """What may be spent.

    Attributes:
        resource: what is priced or limited.
        price: nats for the cost of the whole supernet, 0 for none.
        most: of the retrained network: multiply-adds of a picture, parameters, or seconds of eight pictures;
            None for any.
    """

    resource: Resource = "multiply_adds"
    price: float = 0.0
    most: float | None = None


class Size(NamedTuple):
    """Of a network: channels, layers, classes, side and channels of a picture."""

    channels: int
    layers: int
    classes: int
    image_size: int = 32
    pictures: int = 3


def thrift_of(settings: Mapping[str, Any]) -> tuple[Thrift, dict[str, Any]]:
    """What of the settings is a matter of cost, and the others.

    Raises:
        UserError: a value is of the wrong kind.
    """
    resource = settings.get("resource", "multiply_adds")
    if resource not in RESOURCES:
        raise UserError(f"resource is {', '.join(RESOURCES[:-1])} or {RESOURCES[-1]}, not {resource!r}")
    price, most = settings.get("price", 0.0), settings.get("most")
    for name, value in (("price", price), ("most", most)):
        real = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (real and value >= 0):
            raise UserError(f"{name} is a number of at least 0, not {value!r}")
    rest = {name: value for name, value in settings.items() if name not in SETTINGS}
    return Thrift(resource, float(price or 0.0), None if most is None else float(most)), rest


def check_thrift(strategy: Strategy, thrift: Thrift) -> None:
    """Refuse a price or a limit that does not go with a strategy.

    Raises:
        UserError: names it.
    """
    given = (("price", bool(thrift.price), _NOT_PRICED), ("most", thrift.most is not None, _NOT_LIMITED))
    for name, asked, without in given:
        if asked and strategy.name in without:
            raise UserError(f"{name} does not go with strategy {strategy.name!r}: {without[strategy.name]}")


def tables_of(
    thrift: Thrift,
    space: Space,
    searched: Size,
    retrained: Size,
    latencies: Callable[[], Mapping[str, Costs]] = dict,
) -> dict[str, Costs]:
    """Costs by operation for each setting that asks for them, "price" or "most".

    Of several processes they are the first's: each would measure other latencies, and derive another network.

    Args:
        searched, retrained: sizes of the supernet, whose operations are priced, and of the network that is
            limited. Operations are priced at the width that a derived network gives them, also where those
            of the supernet are narrower (partial channels).
        latencies: those that the search was begun with, empty where it begins; called if they are asked for.
    """
    asked = {"price": searched} if thrift.price else {}
    if thrift.most is not None:
        asked["most"] = retrained
    if not asked:
        return {}

    def tables() -> dict[str, Costs]:
        before = latencies() if thrift.resource == "latency" else {}
        known = {name: costs for name, costs in before.items() if costs.belongs(space)}
        return {
            name: known.get(name) or costs_of(thrift.resource, space, size, derived=name == "most")
            for name, size in asked.items()
        }

    return from_first(tables)


def thrifty(strategy: Strategy, thrift: Thrift, space: Space, tables: Mapping[str, Costs]) -> Strategy:
    """The strategy with a price on operations, a limit on what it derives, or both.

    Args:
        tables: as `tables_of` gives them.

    Raises:
        UserError: it does not go with this strategy, or no architecture is within the limit.
    """
    check_thrift(strategy, thrift)
    if thrift.price:
        strategy = _priced(strategy, tables["price"].weighted(thrift.price))
    if thrift.most is not None:
        check_limits(space, Limits(None, tables["most"], thrift.most))
        strategy = _limited(strategy, tables["most"], thrift.most)
    return strategy


def _priced(strategy: Strategy, price: Weighted) -> Strategy:
    """A price beside the loss of the alphas; of a controller in the reward that it learns from."""
    if isinstance(strategy, Enas):
        return replace(strategy, price=price)
    if isinstance(strategy, Wrapper) and strategy.name == Enas.name:
        return replace(strategy, inner=_priced(strategy.inner, price))
    return Priced(strategy, price)


def _limited(strategy: Strategy, costs: Costs, most: float) -> Strategy:
    """One derivation with all limits, where others are set already."""
    if isinstance(strategy, Limited):
        return replace(strategy, costs=costs, limit=most)
    if isinstance(strategy, Wrapper):
        return replace(strategy, inner=_limited(strategy.inner, costs, most))
    skips = strategy.max_skips if isinstance(strategy, PDarts) else None
    return Limited(strategy, skips, costs, most)


def costs_of(resource: Resource, space: Space, size: Size, *, derived: bool = False) -> Costs:
    """Costs by operation of a network of this size.

    Args:
        derived: as in the derived network, whose normalisations have parameters.
    """
    channels, layers, classes, image_size, pictures = size
    if resource == "parameters":
        return supernet_parameters(space, channels, layers, classes, pictures=pictures, derived=derived)
    if resource == "latency":
        return measured_costs(space, channels, layers, classes, image_size=image_size, pictures=pictures)
    return supernet_costs(space, channels, layers, classes, image_size=image_size, pictures=pictures)
