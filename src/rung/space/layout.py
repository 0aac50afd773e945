"""A space laid flat: a slot a parameter, rules resolved to slots, an order that puts parents first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from rung.errors import SpaceError
from rung.space.rules import AllOf, AnyOf, Condition, Forbidden, Is, Relation, Term


class MisfitError(ValueError):
    """A value is not in a domain; the message goes on after the parameter's name: "is 3, which ..."."""


class Domain(Protocol):
    """What a layout asks of a domain."""

    @property
    def branches(self) -> Sequence[tuple[str, Any]]: ...

    @property
    def ordered(self) -> bool: ...

    def admit(self, value: object) -> Any: ...


class Scope(Protocol):
    """What a layout asks of a space."""

    @property
    def parameters(self) -> Sequence[tuple[str, Any]]: ...

    @property
    def conditions(self) -> Sequence[Condition]: ...

    @property
    def forbidden(self) -> Sequence[Forbidden]: ...


class Literal(NamedTuple):
    """The parameter in `slot` compared with a value of its domain."""

    slot: int
    test: str
    value: Any


class Compare(NamedTuple):
    """The parameters in two slots compared with each other."""

    left: int
    relation: str
    right: int


class Every(NamedTuple):
    """All of these."""

    rules: tuple[Rule, ...]


class Some(NamedTuple):
    """At least one of these."""

    rules: tuple[Rule, ...]


Rule = Literal | Compare | Every | Some


class Slot(NamedTuple):
    """A parameter and its place: `path` are the (slot of a choice, branch) pairs that lead to it."""

    key: str
    name: str
    domain: Any
    path: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A space laid flat.

    Attributes:
        slots: in the order of declaration, a choice followed by its branches' parameters.
        gates: by slot, the rule under which it is active, None where it always is.
        forbidden: rules that no configuration may make true.
        order: slots, parents before those that depend on them.
    """

    slots: tuple[Slot, ...]
    gates: tuple[Rule | None, ...]
    forbidden: tuple[Rule, ...]
    order: tuple[int, ...]


def lay_out(space: Scope) -> Layout:
    """Lay `space` flat, and check all that is said in it about several parameters.

    Raises:
        SpaceError: a clash of names, a rule about an unknown or incomparable parameter, a cycle.
    """
    slots: list[Slot] = []
    scopes = list(_collect(space, "", (), slots))
    _check_clashes(slots)
    wanted: list[list[Rule]] = [
        [Literal(*_choice(slot), value=slot.path[-1][1])] if slot.path else [] for slot in slots
    ]
    forbidden: list[Rule] = []
    for prefix, scope in scopes:
        names = _Names(slots, prefix)
        for condition in scope.conditions:
            child = names.slot(condition.parameter, "a condition")
            about = f"the condition of {condition.parameter!r}"
            wanted[child].append(_resolve(condition.when, names, about))
        forbidden.extend(_resolve(rule.when, names, "a forbidden statement") for rule in scope.forbidden)
    gates = tuple(_every(rules) for rules in wanted)
    return Layout(tuple(slots), gates, tuple(forbidden), _order(slots, gates))


def _choice(slot: Slot) -> tuple[int, str]:
    return slot.path[-1][0], "equals"


def _every(rules: Sequence[Rule]) -> Rule | None:
    if len(rules) < 2:
        return rules[0] if rules else None
    return Every(tuple(rules))


def _collect(
    scope: Scope, prefix: str, path: tuple[tuple[int, str], ...], slots: list[Slot]
) -> Iterator[tuple[str, Scope]]:
    """Append the slots of `scope` and of all below it, and yield each scope with its keys' prefix."""
    yield prefix, scope
    for name, domain in scope.parameters:
        number = len(slots)
        slots.append(Slot(prefix + name, name, domain, path))
        for branch, below in domain.branches:
            yield from _collect(below, f"{prefix}{name}.{branch}.", (*path, (number, branch)), slots)


def _check_clashes(slots: Sequence[Slot]) -> None:
    """No two slots of one name may be active together, nor have one key."""
    by_name: dict[str, list[Slot]] = {}
    keys: set[str] = set()
    for slot in slots:
        if slot.key in keys:
            raise SpaceError(f"two parameters have the full name {slot.key!r}; rename one of them")
        keys.add(slot.key)
        for other in by_name.setdefault(slot.name, []):
            mine = dict(slot.path)
            if all(mine.get(choice, branch) == branch for choice, branch in other.path):
                raise SpaceError(
                    f"parameters {other.key!r} and {slot.key!r} can be active together and have one name, "
                    f"{slot.name!r}; rename one of them"
                )
        by_name[slot.name].append(slot)


class _Names:
    """The names that a rule stated at `prefix` can use: full keys, names there, unique names below."""

    def __init__(self, slots: Sequence[Slot], prefix: str) -> None:
        self.slots = slots
        self.prefix = prefix
        self.keys = {slot.key: number for number, slot in enumerate(slots)}

    def slot(self, name: object, where: str) -> int:
        number = self.keys.get(f"{self.prefix}{name}")
        if number is not None:
            return number
        below = [i for i, s in enumerate(self.slots) if s.name == name and s.key.startswith(self.prefix)]
        if len(below) == 1:
            return below[0]
        if not below:
            raise SpaceError(f"{where} names the parameter {name!r}, which is not in the space")
        keys = " or ".join(repr(self.slots[i].key.removeprefix(self.prefix)) for i in below)
        raise SpaceError(f"{where} names {name!r}, which several branches have; say {keys}")


def _resolve(term: Term, names: _Names, where: str) -> Rule:
    match term:
        case AllOf(terms):
            return Every(tuple(_resolve(part, names, where) for part in terms))
        case AnyOf(terms):
            return Some(tuple(_resolve(part, names, where) for part in terms))
        case Relation(left, relation, right):
            rule = Compare(names.slot(left, where), relation, names.slot(right, where))
            _check_comparable(rule, names.slots)
            return rule
        case Is():
            return _literal(term, names, where)
    raise SpaceError(f"{where}: {term!r} is no statement")


def _literal(term: Is, names: _Names, where: str) -> Literal:
    slot = names.slot(term.parameter, where)
    domain = names.slots[slot].domain
    test = term.test
    if test in ("less", "greater", "at_most", "at_least") and not domain.ordered:
        kind = type(domain).__name__
        raise SpaceError(f"{where} uses {test} on {term.parameter!r}, but a {kind} has no order")
    try:
        value = tuple(map(domain.admit, term.value)) if test == "one_of" else domain.admit(term.value)
    except MisfitError as problem:
        raise SpaceError(f"{where}: a value of {term.parameter!r} {problem}") from None
    return Literal(slot, test, value)


def family(value: object) -> type:
    """Numbers compare with numbers, text with text; booleans and None only with their own kind."""
    return float if type(value) is int else type(value)


def _check_comparable(rule: Compare, slots: Sequence[Slot]) -> None:
    """Both parameters have values of one kind; for equality of listed values, any kinds will do."""
    pair = (slots[rule.left], slots[rule.right])
    lists = [getattr(slot.domain, "values", None) for slot in pair]
    families = {family(value) for values in lists for value in values or (0.0,)}
    if len(families) > 1 and (rule.relation != "equals" or None in lists):
        said = " and ".join(repr(slot.key) for slot in pair)
        raise SpaceError(f"the values of {said} can't be compared: they are of different kinds")
    if rule.relation != "equals" and not families <= {float, str}:
        said = " and ".join(repr(slot.key) for slot in pair)
        raise SpaceError(f"the values of {said} have no order: they are neither numbers nor text")


def parents(rule: Rule | None) -> Iterator[int]:
    """The slots that a rule reads."""
    match rule:
        case Literal(slot=slot):
            yield slot
        case Compare(left=left, right=right):
            yield from (left, right)
        case Every(rules=rules) | Some(rules=rules):
            for part in rules:
                yield from parents(part)


def _order(slots: Sequence[Slot], gates: Sequence[Rule | None]) -> tuple[int, ...]:
    """Slots with parents first (depth-first search); a slot met while it is open closes a cycle."""
    order: list[int] = []
    state: dict[int, bool] = {}  # open: False, done: True

    def visit(slot: int) -> None:
        if state.get(slot):
            return
        if slot in state:
            raise SpaceError(f"the conditions of parameter {slots[slot].key!r} lead back to itself")
        state[slot] = False
        for parent in parents(gates[slot]):
            visit(parent)
        state[slot] = True
        order.append(slot)

    for slot in range(len(slots)):
        visit(slot)
    return tuple(order)
