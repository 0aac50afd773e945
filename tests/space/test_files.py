"""Space files: what is read, and what is said about a mistake."""

from __future__ import annotations

import json

import pytest

from rung.errors import SpaceError
from rung.space import load_space, to_json
from rung.space.domains import Categorical, Constant, Float, Integer, Ordinal, Space


def test_yaml_means_what_it_looks_like(tmp_path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "parameters:\n"
        "  lr: {type: float, low: 1e-5, high: .5, log: true}\n"
        "  n: {type: integer, low: 010, high: +20}\n"
        "  flag: {type: categorical, values: [on, yes, no, true, ~, 2020-01-01, '1', 1, 1.0]}\n"
        "  on: {type: constant, value: off}\n"
        "  bits: {type: ordinal, values: [0x10, 0o21, 0x1G, 0o8, -0x10]}\n"
    )
    assert load_space(file) == Space(
        {
            "lr": Float(1e-5, 0.5, log=True),
            "n": Integer(10, 20),
            "flag": Categorical(["on", "yes", "no", True, None, "2020-01-01", "1", 1, 1.0]),
            "on": Constant("off"),
            "bits": Ordinal([16, 17, "0x1G", "0o8", "-0x10"]),
        }
    )


def test_json(tmp_path) -> None:
    space = Space({"a": Float(0, 1), "b": Categorical([True, 1])})
    file = tmp_path / "space.json"
    file.write_text(json.dumps(to_json(space), indent=2))
    assert load_space(str(file)) == space


ONE = "parameters:\n  a: {type: constant, value: 1}\n"

YAML = """\
parameters:
  lr:
    type: float
    low: 1
    high: 0
  n: {type: integer, low: 1, high: 3}
"""


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.yaml", YAML, r"s.yaml, line 2: parameters.lr: Float\(1.0, 0.0\): low must be below high"),
        (
            "s.yaml",
            "parameters:\n  a: {type: integer, low: 1, hgih: 2}\n",
            "line 2: parameters.a.hgih: 'hgih'",
        ),
        ("s.yaml", ONE + "  a: {type: constant, value: 2}\n", "line 3: .*stands twice"),
        ("s.yml", "parameters: [\n  a: {\n", "s.yml, line 3: this is not valid YAML"),
        ("s.yaml", "parameters: !!python/object:os.system x\n", "line 1: this is not valid YAML"),
        ("s.yaml", "", "s.yaml: a mapping was expected, not nothing"),
        ("s.yaml", "a\n", "line 1: a mapping was expected, not 'a'"),
        (
            "s.yaml",
            ONE + "\nconditions:\n  - {parameter: a, on: b, equals: 1}\n",
            "line 5: conditions.0: .*'b', which is not in the space",
        ),
        (
            "s.json",
            '{"parameters":\n [{"name": "lr", "type": "float", "low": 1}]}',
            "line 2: parameters.lr: 'high'",
        ),
        ("s.json", '{"parameters": {\n "a": {"type": "constant" "value": 1}}}', "line 2: this is not JSON"),
        ("s.json", '{"parameters": {"a": {"type": "float", "low": NaN, "high": 1}}}', "NaN is not a number"),
        ("s.json", '{"parameters": {}, "parameters": {}}', "'parameters' stands twice"),
        ("s.json", "[" * 100_000, "s.json"),
        ("s.yaml", "parameters: {a: &a [*a]}", "a parameter needs a 'type'"),
        ("s.yaml", "a: *b", "line 1: this is not valid YAML"),
        ("s.yaml", "a: \x01", "this is not valid YAML"),
        ("s.json", '{\n\t"parameters": {\n\t"a": {}}}', "s.json: parameters.a: a parameter needs"),
        ("s.toml", "", "ends in .json, .yaml or .yml"),
    ],
)
def test_mistakes(tmp_path, name: str, text: str, message: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(SpaceError, match=message) as caught:
        load_space(file)
    assert "\n" not in str(caught.value)


def test_no_such_file_and_no_text(tmp_path) -> None:
    with pytest.raises(SpaceError, match="there is no such file"):
        load_space(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpaceError, match="can't be read"):
        load_space(tmp_path / "binary.yaml")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(SpaceError, match="can't be read"):
        load_space(tmp_path / "folder.json")
