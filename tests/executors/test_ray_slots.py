"""Which job runs in which slot: pure decisions."""

from hypothesis import given
from hypothesis import strategies as st

from rung.executors.ray_slots import Place, Plan, Wish, arrange, describe

IDLE, BUSY, STARTING = "idle", "busy", "starting"


def test_an_idle_slot_is_taken_and_a_missing_one_made() -> None:
    plan = arrange([Wish(), Wish(home="b")], [Place(1, IDLE, "a"), Place(1, BUSY, "b")], 3)
    assert plan == Plan(((0, 0),), (Wish(home="b"),), ())


def test_a_slot_that_starts_is_waited_for() -> None:
    assert arrange([Wish(), Wish()], [Place(1, STARTING)], 2).create == (Wish(),)
    assert arrange([Wish()], [Place(1, STARTING)], 2) == Plan((), (), ())


def test_the_node_of_the_checkpoint_is_preferred_but_not_waited_for() -> None:
    slots = [Place(1, IDLE, "a"), Place(1, IDLE, "b"), Place(1, IDLE, "c")]
    assert arrange([Wish(home="a")], slots, 3).assign == ((0, 0),)
    assert arrange([Wish(home="z")], slots, 3).assign == ((0, 2),)


def test_a_gang_that_waits_gets_what_becomes_free() -> None:
    slots = [Place(1, IDLE), Place(1, BUSY)]
    plan = arrange([Wish(2), Wish(1)], slots, 2)
    assert plan.assign == ()  # not to the small one behind it
    assert plan.create == (Wish(2),)
    assert plan.release == (0,)


def test_a_small_job_waits_for_no_gang_before_which_it_came() -> None:
    plan = arrange([Wish(1), Wish(2)], [Place(1, IDLE), Place(1, BUSY)], 4)
    assert plan == Plan(((0, 0),), (Wish(2),), ())


def test_nothing_is_given_back_where_there_is_room() -> None:
    assert arrange([Wish(2)], [Place(1, IDLE), Place(1, BUSY)], 4).release == ()


@given(
    st.lists(st.builds(Wish, st.integers(1, 3), st.sampled_from([None, "a", "b"])), max_size=6),
    st.lists(
        st.builds(
            Place,
            st.integers(1, 3),
            st.sampled_from([IDLE, BUSY, STARTING]),
            st.sampled_from([None, "a", "b"]),
        ),
        max_size=6,
    ),
    st.integers(1, 12),
)
def test_a_plan_is_one_that_can_be_followed(queue: list[Wish], slots: list[Place], capacity: int) -> None:
    plan = arrange(queue, slots, capacity)
    used = [place for _, place in plan.assign]
    assert len(set(used) | set(plan.release)) == len(used) + len(plan.release)
    assert all(slots[place].state == IDLE for place in (*used, *plan.release))
    assert all(queue[number].devices == slots[place].devices for number, place in plan.assign)
    numbers = [number for number, _ in plan.assign]
    assert numbers == sorted(numbers)
    if queue and not plan.assign:  # the first one is always served or waited for
        coming = [slot.devices for slot in slots if slot.state == STARTING]
        assert queue[0].devices in (*coming, *(wish.devices for wish in plan.create))


def test_what_the_nodes_have() -> None:
    nodes = {"a": {"CPU": 4.0, "memory": 8e9}, "b": {"CPU": 2.0, "GPU": 1.0}}
    assert describe(nodes, ["CPU", "GPU"]) == "of 2 nodes none has more than 4 CPU and 1 GPU"
    assert describe({"a": nodes["a"]}, ["memory"]) == "the only node has 8 GB of memory"
    assert describe({}, ["CPU"]) == "there is no node"
