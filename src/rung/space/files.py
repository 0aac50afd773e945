"""Spaces in .json, .yaml and .yml files; a mistake is told with file, line and place."""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias, cast

import yaml

from rung.errors import SpaceError
from rung.space.domains import Space
from rung.space.schema import FormError, Path, from_json

_Node: TypeAlias = "yaml.nodes.Node | None"


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: `on`, `yes` and dates are text, 1e-5, 0x10 and 0o20 numbers; no name twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} stands twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _whole(_: _Loader, node: yaml.Node) -> int:
    text = cast(yaml.ScalarNode, node).value
    return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))


_Loader.add_constructor("tag:yaml.org,2002:int", _whole)


def load_space(path: Any) -> Space:
    """The space in a .json, .yaml or .yml file.

    Raises:
        SpaceError: the file can't be read, or is not valid; the message names file, line and place.
    """
    name = str(path)
    if not name.endswith((".json", ".yaml", ".yml")):
        raise SpaceError(f"{name}: a space file ends in .json, .yaml or .yml")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise SpaceError(f"{name}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(f"{name}: the file can't be read ({error})") from None
    form = _parse_json(text, name) if name.endswith(".json") else _parse_yaml(text, name)
    try:
        return from_json(form)
    except FormError as error:
        line = _line(text, error.path)
        place = _place(form, error.path)
        where = f"{name}, line {line}" if line else name
        raise SpaceError(f"{where}: {place}{error.problem}") from None


def _parse_json(text: str, name: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise SpaceError(f"{name}, line {error.lineno}: this is not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise SpaceError(f"{name}: {error}") from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands twice in one object")
        found[key] = value
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number that a space can have")


def _parse_yaml(text: str, name: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SpaceError(f"{name}{line}: this is not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise SpaceError(f"{name}: this is not valid YAML: {problem}") from None


def _line(text: str, path: Path) -> int | None:
    """The line, from 1, of the place that `path` leads to (JSON is read as YAML, which it nearly is)."""
    try:
        node: _Node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError:
        return None
    if node is None:
        return None
    line = node.start_mark.line + 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == str(step)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            pair = (node.value[step], node.value[step])
        else:
            pair = None
        if pair is None:
            break
        line, node = pair[0].start_mark.line + 1, pair[1]
    return line


def _place(form: Any, path: Path) -> str:
    """The place in words: list entries that have a name by that."""
    words = []
    for step in path:
        try:
            form = form[step]
        except (KeyError, IndexError, TypeError):
            form = None
        named = isinstance(step, int) and isinstance(form, dict) and isinstance(form.get("name"), str)
        words.append(form["name"] if named else str(step))
    return ".".join(words) + ": " if words else ""
