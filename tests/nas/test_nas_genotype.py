"""Genotypes: their forms go there and back, and what is wrong with one is said in a sentence."""

import ast
import json
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.errors import SpaceError
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.space import SPACES, Cell, Space

PUBLISHED = json.loads(Path(__file__).with_name("published.json").read_text())
FORMS: dict[str, Any] = {**PUBLISHED["cells"], **{f"{k} rnn": v for k, v in PUBLISHED["recurrent"].items()}}
OPERATIONS = ("none", "skip_connect", "sep_conv_3x3", "it's", 'a "quoted" one', "größer", "relu")


@st.composite
def cells(draw: st.DrawFn, inputs: int, per_node: int | None = None) -> CellGenotype:
    """A valid cell: any edges from earlier nodes, any output."""
    many = draw(st.integers(1, 5))
    nodes = []
    for number in range(many):
        edge = st.tuples(st.sampled_from(OPERATIONS), st.integers(0, inputs + number - 1))
        low, high = (1, 4) if per_node is None else (per_node, per_node)
        nodes.append(tuple(draw(st.lists(edge, min_size=low, max_size=high))))
    last = inputs + many - 1
    concat = draw(st.lists(st.integers(0, last), min_size=1, max_size=5))
    return CellGenotype(tuple(nodes), tuple(concat), inputs)


genotypes = st.one_of(
    st.builds(
        lambda a, b: Genotype((("normal", a), ("reduce", b))), cells(2, per_node=2), cells(2, per_node=2)
    ),
    st.builds(lambda a: Genotype((("recurrent", a),)), cells(1, per_node=1)),
    st.builds(lambda a, b: Genotype((("normal", a), ("mine", b))), cells(1), cells(3)),
    st.builds(lambda a: Genotype((("normal", a),)), cells(2)),
)


@settings(deadline=None, max_examples=60)
@given(genotypes)
def test_json_goes_there_and_back(genotype: Genotype) -> None:
    assert Genotype.parse(json.dumps(genotype.to_dict())) == genotype


@settings(deadline=None, max_examples=60)
@given(genotypes)
def test_text_goes_there_and_back(genotype: Genotype) -> None:
    assert Genotype.parse(genotype.to_text()) == genotype
    assert Genotype.parse(f"  NAME = {genotype.to_text()}\n") == genotype


@settings(deadline=None, max_examples=60)
@given(genotypes, st.floats(0, 1))
def test_a_result_holds_its_genotype(genotype: Genotype, accuracy: float) -> None:
    for form in (genotype.to_dict(), genotype.to_text()):
        result = {"strategy": "asap", "genotype": form, "accuracy": {"searched": accuracy}}
        assert Genotype.parse(json.dumps(result)) == genotype


@pytest.mark.parametrize("name", FORMS)
def test_published_cells_keep_their_form(name: str) -> None:
    genotype = Genotype.from_dict(FORMS[name])
    assert genotype.to_dict() == FORMS[name]
    assert genotype.recurrent == name.endswith("rnn")
    assert Genotype.from_text(genotype.to_text()) == genotype


@pytest.mark.parametrize("name", FORMS)
def test_the_reference_reads_our_text(name: str) -> None:
    """`eval` with a named tuple, as the reference keeps its genotypes; `range` stands for a list there."""
    form = FORMS[name]
    made = namedtuple("Genotype", form)  # type: ignore[misc]
    text = Genotype.from_dict(form).to_text()
    read = eval(text, {"Genotype": made, "range": range})  # noqa: S307  # our own text
    for key, value in form.items():
        ours = list(getattr(read, key))
        assert ours == ([tuple(item) for item in value] if isinstance(value[0], list) else value)


def test_the_reference_s_print_is_read() -> None:
    text = (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1)], normal_concat=range(2, 3), "
        "reduce=[('max_pool_3x3', 0), ('none', 1)], reduce_concat=[2])"
    )
    genotype = Genotype.parse(text)
    assert genotype["normal"] == CellGenotype(((("sep_conv_3x3", 0), ("sep_conv_3x3", 1)),), (2,))
    assert genotype["reduce"].operations == ("max_pool_3x3", "none")
    assert "recurrent" not in genotype


def test_concat_may_be_left_out() -> None:
    form = {"normal": [["none", 0], ["none", 1], ["none", 2], ["none", 0]]}
    assert Genotype.from_dict(form)["normal"].concat == (2, 3)
    assert Genotype.from_dict({"recurrent": [["tanh", 0], ["relu", 1]]})["recurrent"].concat == (1, 2)


def test_a_text_that_would_run_code_is_refused() -> None:
    for text in ("Genotype(normal=__import__('os').getcwd())", "Genotype(normal=open('x'))", "Genotype(1)"):
        with pytest.raises(SpaceError, match="this is no genotype's text"):
            Genotype.parse(text)


OK = [["skip_connect", 0], ["skip_connect", 1]]
WRONG = {
    '{"normal": [["a", 0], ["a", 1]], "reduce_concat": [2]}': "there is reduce_concat, but no cell 'reduce'",
    '{"normal": [["skip_connect", 0]]}': "'normal' lists 1 edge, but each node has 2: node 2 lacks an input",
    '{"normal": [["a", 0], ["a", 1], ["a", 2]]}': "lists 3 edges, but each node has 2: node 3 lacks an input",
    '{"normal": [["a", 0], ["a", 2]]}': "edge 'a' into node 2 reads 2: it may read 0 to 1",
    '{"normal": [["a", 0], ["a", 3]]}': "edge 'a' into node 2 reads 3: it may read 0 to 1",
    '{"normal": [["a", 0], ["a", -1]]}': "reads -1: it may read 0 to 1",
    '{"recurrent": [["relu", 1]]}': "edge 'relu' into node 1 reads 1: it may read 0 to 0",
    '{"normal": [[["a", 0]], []]}': "node 3 of a cell has no input: list at least one edge",
    '{"normal": [["a", 0], ["a", 1]], "normal_concat": [3]}': "made of node 3, but no input is listed for it",
    '{"normal": [["a", 0], ["a", 1]], "normal_concat": []}': "the cell's output is made of no node",
    '{"normal": [["a", 0], ["a", 1]], "normal_concat": "2"}': "a list of nodes, not '2'",
    '{"normal": [["a", 0], ["a", 1]], "normal_concat": [true]}': "a list of nodes, not [True]",
    '{"normal": [["a", 0], ["a", "1"]]}': "an edge is [operation, input]",
    '{"normal": [["a", 0], ["a", 1.0]]}': "an edge is [operation, input]",
    '{"normal": [["a", 0], ["a", true]]}': "an edge is [operation, input]",
    '{"normal": [["a", 0], 7]}': 'an edge is [operation, input], such as ["skip_connect", 0], not 7',
    '{"normal": [[["a", 0]], 7]}': "a node is a list of [operation, input], not 7",
    '{"normal": [["a", 0], ["a", 1], [["a", 0]], 3]}': "an edge is [operation, input]",
    '{"normal": "skip"}': "cell 'normal' is a list of [operation, input], not 'skip'",
    '{"normal": 3}': "cell 'normal' is a list of [operation, input], not 3",
    '{"normal": []}': "cell 'normal': it has no node: list at least one edge for one",
    '{"a b": [["a", 0], ["a", 1]]}': "'a b' cannot name a cell: a name is letters, digits and _",
    '{"class": [["a", 0], ["a", 1]]}': "'class' cannot name a cell",
    '{"normal": [["a", 0]], "normal_inputs": 0}': "normal_inputs is a number of inputs, from 1, not 0",
    '{"normal": [["a", 0]], "normal_inputs": "x"}': "normal_inputs is a number of inputs, from 1, not 'x'",
    "{}": "a genotype names its cells",
    '{"normal_concat": [2]}': "a genotype names its cells",
    "[]": "a genotype is a JSON object, not list",
    "null": "a genotype is a JSON object, not NoneType",
    "": "neither JSON nor a text such as Genotype(normal=...)",
    '{"normal": ': "neither JSON nor a text such as Genotype(normal=...)",
    "[" * 100_000: "this is no genotype: it is nested too deeply",
    "Genotype(normal=" + "[" * 5_000: "this is no genotype's text",
    "Genotype(normal=[('a', 0), ('a', 1)], normal_concat=range(10**12))": "this is no genotype's text",
    "Genotype(normal=[('a', 0), ('a', 1)], normal_concat=range(1000000000000))": "this is no genotype's text",
    "Genotype(normal=[('a', 0), ('a', 1)], normal=[('a', 0), ('a', 1)])": "this is no genotype's text",
    "Genotype(normal=[('a', 0)": "this is no genotype's text",
    "Genotype(normal=[('a', 0), ('a', 5)])": "reads 5: it may read 0 to 1",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:40])
def test_what_is_wrong_is_one_sentence(text: str, tmp_path: Path) -> None:
    file = tmp_path / "cell.json"
    file.write_text(text)
    with pytest.raises(SpaceError) as caught:
        Genotype.read(file)
    said = str(caught.value)
    assert said.startswith(f"{file}: ")
    assert WRONG[text] in said
    assert "\n" not in said


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"cannot read the cell file .*gone.json: No such file"):
        Genotype.read(tmp_path / "gone.json")
    with pytest.raises(SpaceError, match=r"cannot read the cell file .*: Is a directory"):
        Genotype.read(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpaceError, match="it is not text"):
        Genotype.read(tmp_path / "bytes")


def test_unknown_operations_name_what_is_known() -> None:
    genotype = Genotype.from_dict({"normal": [["skip_connect", 0], ["sep_conv_9x9", 1]]})
    with pytest.raises(SpaceError, match="unknown operation 'sep_conv_9x9': known are none, skip_connect"):
        genotype.check({"skip_connect": 1, "none": 1})
    assert genotype.check({"skip_connect": 1, "sep_conv_9x9": 1}) is genotype


def test_a_space_makes_the_genotype_of_a_choice() -> None:
    """Every edge at its place: a choice of all edges with operation e + t of the space is read back."""
    cell = Cell("normal", 3, ("a", "b", "c"))
    space = Space("mine", (cell,))
    chosen = tuple((edge, (source + target) % 3) for edge, (source, target) in enumerate(cell.edges))
    made = space.genotype({"normal": chosen})["normal"]
    assert cell.edges == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4), (1, 4), (2, 4), (3, 4))
    for target, edges in zip(cell.targets, made.nodes, strict=True):
        assert edges == tuple(("abc"[(source + target) % 3], source) for source in range(target))
    assert made.concat == (2, 3, 4)


def test_spaces_are_what_the_papers_say() -> None:
    """DARTS: 14 edges of 8 operations in two cells; recurrent: 36 of 5; NAS-Bench-201: 6 of 5."""
    shape = {
        name: [(cell.name, len(cell.edges), len(cell.operations)) for cell in space.cells]
        for name, space in SPACES.items()
    }
    assert shape["darts"] == [("normal", 14, 8), ("reduce", 14, 8)]
    assert shape["recurrent"] == [("recurrent", 36, 5)]
    assert shape["nasbench201"] == [("normal", 6, 5)]
    assert SPACES["darts"].layout(8) == tuple("reduce" if i in (2, 5) else "normal" for i in range(8))
    assert SPACES["darts"].layout(20).index("reduce") == 6
    assert SPACES["nasbench201"].layout(3) == ("normal",) * 3


def test_cells_and_spaces_that_make_no_sense() -> None:
    with pytest.raises(SpaceError, match="at least one input and one node"):
        Cell("normal", 0, ("a",))
    with pytest.raises(SpaceError, match="each once"):
        Cell("normal", 1, ("a", "a"))
    with pytest.raises(SpaceError, match="cannot be limited"):
        Cell("normal", 1, ("a", "b"), only=((7, ("a",)),))
    with pytest.raises(SpaceError, match="names of their own"):
        Space("mine", (Cell("normal", 1, ("a",)), Cell("normal", 1, ("a",))))
    with pytest.raises(SpaceError, match="has no cell 'other'"):
        SPACES["darts"]["other"]


def test_text_is_one_expression_of_literals() -> None:
    """Nothing but a call of names and literals, so that any reader may take it apart."""
    for form in FORMS.values():
        tree = ast.parse(Genotype.from_dict(form).to_text(), mode="eval")
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert all(
            isinstance(node.func, ast.Name) and node.func.id in ("Genotype", "range") for node in calls
        )
