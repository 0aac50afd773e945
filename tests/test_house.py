"""The house's own rules, held by reading the source: sizes, purposes, no loose ends."""

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = sorted((ROOT / "src" / "rung").rglob("*.py"))
PYTHON = sorted(
    path for folder in ("src", "tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")
)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    for path in SOURCE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kinds):
                yield path, node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """Lines without the docstring."""
    first = node.body[0]
    doc = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) else 0
    return node.end_lineno - node.lineno + 1 - doc


def test_no_file_is_long() -> None:
    lengths = {short(path): path.read_text().count("\n") for path in SOURCE}
    assert {name: lines for name, lines in lengths.items() if lines > 500} == {}


def test_functions_are_short() -> None:
    lengths = {f"{short(path)}:{node.lineno} {node.name}": length(node) for path, node in nodes(*FUNCTION)}
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}
    assert statistics.median(lengths.values()) <= 10


def test_classes_are_not_gods() -> None:
    lengths = {f"{short(path)}:{node.lineno} {node.name}": length(node) for path, node in nodes(ast.ClassDef)}
    assert {name: lines for name, lines in lengths.items() if lines > 250} == {}


def test_no_keyword_bags() -> None:
    """`**kwargs` only where a report's metrics come in."""
    bags = {
        f"{short(path)} {node.name}"
        for path, node in nodes(*FUNCTION)
        if node.args.kwarg and node.name != "report"
    }
    assert bags == set()


def test_every_folder_says_its_purpose_in_one_line() -> None:
    for path in (ROOT / "src" / "rung").rglob("__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text()))
        assert text, f"{short(path)} has no docstring"
        first = text.splitlines()[0]
        assert first.endswith((".", ":")), f"{short(path)}: {first!r} is no sentence"
        assert 20 <= len(first) <= 110, f"{short(path)}: {first!r}"


def test_every_module_says_what_it_is() -> None:
    assert [short(path) for path in SOURCE if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_no_loose_ends() -> None:
    loose = re.compile(r"\b(TODO|FIX" + r"ME|XXX)\b")
    assert [short(path) for path in PYTHON if path != Path(__file__) and loose.search(path.read_text())] == []


def test_nothing_is_swallowed() -> None:
    """No handler catches everything and does nothing."""
    swallowed = [
        f"{short(path)}:{node.lineno}"
        for path, node in nodes(ast.ExceptHandler)
        if getattr(node.type, "id", "Exception" if node.type is None else "")
        in {"Exception", "BaseException"}
        and all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
    ]
    assert swallowed == []


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_tests_mirror_the_package() -> None:
    rooms = {
        path.name
        for path in (ROOT / "src" / "rung").iterdir()
        if path.is_dir() and path.name != "__pycache__"
    }
    assert rooms <= {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.stem
)
def test_decisions_are_short_and_whole(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 40
    assert all(f"## {part}\n" in text for part in ("Context", "Decision", "Cost"))


def test_the_pre_commit_hooks_are_make_check() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    check = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert check is not None
    for line in check[1].splitlines():
        command = line.strip().removeprefix("$(BIN)/").removesuffix(" .").replace(" --no-cache", "")
        assert f".venv/bin/{command}\n" in hooks
