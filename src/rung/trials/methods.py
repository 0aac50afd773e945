"""Tables of named methods (samplers, schedulers): by name, by spec or by object, loaded when first used.

A method is a frozen dataclass whose fields are its settings, JSON-able each, so that a `Spec` (its name and
its settings) goes to the log and comes back as an equal object. Methods of others are found by entry points;
their own objects, too, survive the log: their name there is `module:Class`.
"""

from __future__ import annotations

import ast
import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from rung.errors import StudyError
from rung.trials.events import Spec

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints


_UNREAD: Final = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)  # of `ast.literal_eval`


class Method(msgspec.Struct, frozen=True):
    """One row of a table: `path` is "module:Class", `line` says in one line what it does."""

    name: str
    kind: str
    path: str
    line: str
    paper: str = ""


class Family(NamedTuple):
    """All methods of one kind.

    Attributes:
        kind: what messages call one, "scheduler" or "sampler".
        verb: the method that every one of them has, "next" or "suggest".
        group: the entry points' group that plug-ins use.
        table: our own, by name.
    """

    kind: str
    verb: str
    group: str
    table: Mapping[str, Method]


def known(family: Family) -> dict[str, Method]:
    """Our own methods and the installed plug-ins' by name; loads none of them.

    A plug-in that takes one of our names is left out, with a warning.
    """
    found = dict(family.table)
    for point in entry_points(group=family.group):
        if point.name in family.table:
            _warn(f"the plug-in {point.value!r} is left out: rung has a {family.kind} {point.name!r} already")
        else:
            package = point.dist.name if point.dist else "an installed package"
            found[point.name] = Method(point.name, family.kind, point.value, f"a plug-in of {package}")
    return found


def entry_points(group: str) -> EntryPoints:
    """The installed plug-ins of a group; the standard library's search for them is loaded only now."""
    from importlib import metadata

    return metadata.entry_points(group=group)


def make(family: Family, given: Any) -> Any:
    """The method that a name, a `Spec` or an object of it stands for.

    A name may bring settings with it: "tpe(multivariate=False)".

    Raises:
        StudyError: an unknown name (the message has the closest), a setting that it lacks or of a wrong
            type or value, or an object that isn't of this kind.
    """
    if isinstance(given, str):
        given = _parsed(family, given)
    if isinstance(given, Spec):
        return _build(_load(family, given.name), given, family)
    if isinstance(given, type) or not callable(getattr(given, family.verb, None)):
        raise StudyError(
            f"{given!r} is no {family.kind}: give a name ({', '.join(family.table)}) "
            f"or an object with a method `{family.verb}`"
        )
    return given


def check_installed(family: Family, given: str | None) -> None:
    """Refuse "module:Class" in a name and in its settings, as in "transfer(base='module:Class')".

    For names that others give: what they may have imported is ours and what was installed as a plug-in.

    Raises:
        StudyError: there is one, or the name cannot be understood.
    """
    if given is None:
        return
    spec = _parsed(family, given)
    for text in _texts([spec.name, spec.settings]):
        if ":" in text:
            raise StudyError(
                f"the {family.kind} {given!r} names a class by its module, and code is not named over the "
                f"network: take one of {', '.join(family.table)}, or a plug-in that the service's "
                "administrator installed"
            )


def _texts(value: Any) -> Iterator[str]:
    """All texts in settings, at whatever depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple | set):
        for each in value:
            yield from _texts(each)


def spec_of(family: Family, method: Any) -> Spec:
    """The name and the settings of `method`: `make` turns them into an equal one.

    Raises:
        StudyError: it is not a dataclass, so that the log cannot keep its settings.
    """
    cls = type(method)
    if not dataclasses.is_dataclass(method):
        raise StudyError(
            f"the {family.kind} {cls.__qualname__} is not a dataclass, so its settings cannot be kept: "
            "make it a frozen dataclass whose fields are its settings"
        )
    path = f"{cls.__module__}:{cls.__qualname__}"
    named = {row.path: row.name for row in family.table.values()}
    name = named.get(path) or next((row.name for row in known(family).values() if row.path == path), path)
    settings = {field.name: getattr(method, field.name) for field in dataclasses.fields(method) if field.init}
    return Spec(name, msgspec.msgpack.decode(msgspec.msgpack.encode(settings)))  # as the log gives them back


def _parsed(family: Family, text: str) -> Spec:
    """A name, with settings in brackets if it has any, as a call in Python."""
    name, bracket, _ = text.partition("(")
    if not bracket:
        return Spec(text)
    try:
        call = ast.parse(f"_({text[len(name) + 1 :]}", mode="eval").body
        assert isinstance(call, ast.Call)
        assert not call.args
        settings = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except (*_UNREAD, AssertionError):
        raise StudyError(
            f"the {family.kind} {text!r} is not understood: write its settings as {name.strip()}(name=value)"
        ) from None
    return Spec(name.strip(), settings)


def _load(family: Family, name: str) -> type:
    """The class of this name; "module:Class" is imported as it stands.

    What a log names is imported, so it must be a dataclass of this kind, not just anything callable.
    """
    row = family.table.get(name) or known(family).get(name)
    if row is None and ":" not in name:
        raise StudyError(_unknown(family.kind, name, list(known(family))))
    path = row.path if row else name
    try:
        cls = _resolve(path)
    except (Exception, SystemExit) as error:  # whatever another package's import raises
        if name not in family.table:
            _warn(f"the {family.kind} {name!r} cannot be loaded ({type(error).__name__}: {error})")
        raise StudyError(f"the {family.kind} {name!r} cannot be loaded from {path!r}: {error}") from error
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls) and hasattr(cls, family.verb)):
        raise StudyError(
            f"{path!r} is no {family.kind}: it must be a dataclass with a method `{family.verb}`"
        )
    return cls


def _resolve(path: str) -> Any:
    module, _, name = path.partition(":")
    target: Any = import_module(module)
    for part in name.split("."):
        target = getattr(target, part)
    return target


def _build(cls: type, spec: Spec, family: Family) -> Any:
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    for key in spec.settings:
        if key not in names:
            raise StudyError(f"the {family.kind} {spec.name!r}: {_unknown('setting', key, names)}")
    try:
        return msgspec.convert(dict(spec.settings), cls)
    except msgspec.ValidationError as error:
        raise StudyError(
            f"the {family.kind} {spec.name!r} cannot be made: {_misfit(cls, spec, error)}"
        ) from error
    except ValueError as error:
        raise StudyError(f"the {family.kind} {spec.name!r} cannot be made: {error}") from error


def _misfit(cls: type, spec: Spec, error: msgspec.ValidationError) -> str:
    """What is wrong with a setting, and of which type it must be."""
    name = str(error).rpartition("`$.")[2].partition("`")[0].partition("[")[0]
    field = next((one for one in dataclasses.fields(cls) if one.name == name), None)
    if field is None or name not in spec.settings:
        return str(error)
    return f"{name} cannot be {spec.settings[name]!r}: it is {field.type}"


def _unknown(what: str, name: str, names: list[str]) -> str:
    close = get_close_matches(name.lower(), names, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown {what} {name!r}: {hint}" + (f"known are {', '.join(names)}" if names else "it has none")


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=3)
