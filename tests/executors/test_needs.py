"""What a trial needs, as text and against nodes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.errors import StudyError
from rung.executors.needs import Needs


def test_as_text() -> None:
    needs = Needs.parse("cpus=2, gpus=0.5,memory=4GB,custom.tpu=1,nodes=2")
    assert needs == Needs(2.0, 0.5, 4 * 10**9, (("tpu", 1.0),), 2)
    assert str(needs) == "cpus=2,gpus=0.5,memory=4GB,custom.tpu=1,nodes=2"
    for size in ("500MB", "3GiB", "1.5GiB", "7MiB", "1000001B"):
        other = Needs.parse(f"memory={size}")
        assert Needs.parse(str(other)) == other == Needs(memory=other.memory)
    assert Needs.parse(str(needs)) == needs
    assert Needs.parse("") == Needs() == Needs.parse("cpus=1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpu=1", "did you mean gpus"),
        ("tpu=1", "a node's own resource is custom.tpu=1"),
        ("cpus", "'cpus' is not understood"),
        ("cpus=", "'cpus=' is not understood"),
        ("cpus=two", "a number of at least 0, not 'two'"),
        ("cpus=-1", "a number of at least 0"),
        ("cpus=nan", "a number of at least 0"),
        ("cpus=1,cpus=2", "cpus is there twice"),
        ("memory=much", "an amount such as 500MB"),
        ("nodes=1.5", "nodes must be a whole number"),
        ("nodes=0", "nodes must be a whole number"),
        ("gpus=1.5", "a fraction below 1 or a whole number"),
        ("cpus=0", "must need something"),
        ("custom.=1", "is not known"),
    ],
)
def test_a_sentence_for_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        Needs.parse(text)


def test_several_devices() -> None:
    assert Needs(2, 0.5, 10, (("tpu", 1),)).times(2) == Needs(4, 1.0, 10 * 2, (("tpu", 2),))
    assert Needs(1, 0.5).times(3).gpus == 2  # more than one are whole ones
    assert Needs().times(1) == Needs()


def test_on_a_node() -> None:
    assert Needs(0.1).on({"CPU": 1.0}) == 10  # no rounding error
    assert Needs(1, 0.25).on({"CPU": 8.0, "GPU": 1.0}) == 4
    assert Needs(1, 1).on({"CPU": 8.0}) == 0
    assert Needs(1, memory=3).on({"CPU": 8.0, "memory": 10.0}) == 3


@given(st.lists(st.integers(0, 4), max_size=5), st.integers(1, 3))
def test_capacity_over_several_nodes(cores: list[int], nodes: int) -> None:
    """The most trials, each on so many different nodes; the oracle takes the fullest ones each time."""
    room = list(cores)
    count = 0
    while len([each for each in room if each]) >= nodes:
        for index in sorted(range(len(room)), key=lambda i: -room[i])[:nodes]:
            room[index] -= 1
        count += 1
    have = [{"CPU": float(each)} for each in cores]
    assert Needs(nodes=nodes).capacity(have) == count


def test_capacity_by_trying_all() -> None:
    for cores in itertools.product(range(3), repeat=3):
        have = [{"CPU": float(each)} for each in cores]
        assert Needs(cpus=2).capacity(have) == sum(each // 2 for each in cores)
