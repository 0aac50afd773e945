"""What every sampler in the table keeps to, whatever the space and the history."""

from __future__ import annotations

import copy
import math
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rung.samplers import SAMPLERS, make_sampler, spec_of
from rung.samplers.base import Request, Suggestion
from rung.space.compiled import CompiledSpace, compile_space
from rung.space.domains import Categorical, Choice, Constant, Domain, Float, Integer, Ordinal, Space
from rung.space.draws import Rng
from rung.space.rules import Condition, Forbidden, Is
from rung.trials.events import Reported
from rung.trials.history import History

NAMES = sorted(SAMPLERS)
quick = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)

DOMAINS: st.SearchStrategy[Domain] = st.one_of(
    st.just(Float(-1, 1)),
    st.just(Float(1e-5, 1, log=True)),
    st.just(Float(0, 1, step=0.25)),
    st.integers(2, 20).map(lambda high: Integer(1, high)),
    st.just(Integer(1, 1000, log=True)),
    st.integers(1, 6).map(lambda m: Categorical(list(range(m)))),
    st.just(Categorical([True, 1, None, "a"], prior=[1, 2, 0, 1])),
    st.integers(1, 4).map(lambda m: Ordinal([f"v{i}" for i in range(m)])),
    st.just(Constant("c")),
)


@st.composite
def spaces(draw: st.DrawFn, depth: int = 2) -> Space:
    """Up to four parameters, choices among them, a condition and a forbidden value."""
    named: dict[str, Domain] = {f"p{depth}{i}": draw(DOMAINS) for i in range(draw(st.integers(1, 4)))}
    if depth and draw(st.booleans()):
        branches = {f"b{i}": draw(spaces(depth - 1)) for i in range(draw(st.integers(1, 3)))}
        named[f"choice{depth}"] = Choice({**branches, "none": {}})
    named["switch" + str(depth)] = Categorical(["on", "off", "other"])
    first = next(iter(named))
    conditions = [Condition(first, f"switch{depth}", equals="on")] if draw(st.booleans()) else []
    forbidden = [Forbidden(Is(f"switch{depth}", equals="other"))] if draw(st.booleans()) else []
    return Space(named, conditions, forbidden)


LOSSES = st.one_of(
    st.none(),
    st.sampled_from([0.0, 0.5, math.nan, math.inf, -math.inf]),
    st.floats(allow_nan=False, allow_infinity=False),
)


# samplers that hand on to another one: the origin names whose the configuration is
WRAPPERS = {"auto": {"kde"}, "transfer": {"transfer", "kde"}}


def snapshot(thing: Any) -> Any:
    """All that a history holds, as plain values to compare; what it keeps of encoded rows aside."""
    if isinstance(thing, History):
        return {k: snapshot(v) for k, v in vars(thing).items() if not k.startswith(("_encoded", "_handlers"))}
    if isinstance(thing, dict):
        return {k: snapshot(v) for k, v in thing.items()}
    if hasattr(thing, "__slots__") and not isinstance(thing, str | tuple):
        return [repr(getattr(thing, name, None)) for name in thing.__slots__]
    return repr(thing)


def check(space: CompiledSpace, suggestion: Suggestion | None, name: str) -> None:
    """A legal configuration of the space with an honest origin, or the end of a grid."""
    if suggestion is None:
        assert name == "grid"
        return
    assert space.from_mapping(space.to_mapping(suggestion.values)) == suggestion.values
    assert space.legal([suggestion.values]).all()
    assert suggestion.origin.sampler in WRAPPERS.get(name, {name})
    assert suggestion.origin.model == (suggestion.origin.fidelity is not None)


@pytest.mark.parametrize("name", NAMES)
@quick
@given(space=spaces(), losses=st.lists(LOSSES, max_size=40), seed=st.integers(0, 2**63))
def test_suggestions_are_legal_repeatable_and_change_nothing(recorder, name, space, losses, seed):
    compiled, sampler = compile_space(space), make_sampler(name)
    record = recorder(sampler, compiled)
    for number, loss in enumerate(losses):
        suggestion = sampler.suggest(compiled, record.history, Request(1), Rng(seed, number))
        check(compiled, suggestion, name)
        if suggestion is None:
            break
        record.trial(suggestion.values, loss, (1, 1, 3, 9)[number % 4], suggestion.origin)
    before, request, rng = snapshot(record.history), Request(1), Rng(seed, len(record.history))
    suggestion = sampler.suggest(compiled, record.history, request, rng)
    check(compiled, suggestion, name)
    assert snapshot(record.history) == before
    again = make_sampler(spec_of(sampler))
    assert again == sampler
    for other, history in ((sampler, record.history), (again, copy.deepcopy(record.history))):
        assert repr(other.suggest(compile_space(space), history, request, rng)) == repr(suggestion)


WIDE = compile_space(
    {f"x{i}": Float(0, 1) for i in range(48)} | {"c": Categorical([0, 1]), "n": Integer(1, 9)}
)
POINT = compile_space(
    {"a": Constant(1), "b": Categorical(["only"]), "c": Choice({"one": {"d": Ordinal([2])}})}
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", [WIDE, POINT], ids=["fifty parameters", "one point"])
@pytest.mark.parametrize(
    "value",
    [lambda n: 0.25, lambda n: None, lambda n: math.nan, lambda n: n / 7, lambda n: 1e300 * (-1) ** n],
    ids=["equal", "missing", "nan", "rising", "huge"],
)
def test_hard_histories(recorder, name, space, value):
    sampler = make_sampler(name)
    record = recorder(sampler, space).random_trials(space, [value(n) for n in range(120)])
    for number in range(120, 124):
        check(space, sampler.suggest(space, record.history, Request(1), Rng(0, number)), name)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "grid"])
def test_trials_and_seeds_differ(recorder, name):
    space = compile_space({f"x{i}": Float(0, 1) for i in range(3)})
    sampler = make_sampler(name)
    history = recorder(sampler, space).random_trials(space, [n / 50 for n in range(50)]).history
    found = {
        sampler.suggest(space, history, Request(1), Rng(seed, number)).values
        for seed in range(5)
        for number in range(20)
    }
    assert len(found) == 100


HUNDREDS = compile_space({f"x{i}": Float(0, 1) for i in range(200)})
MIXED = compile_space(
    {
        "x": Float(0, 1),
        "n": Integer(1, 9),
        "k": Choice({"a": {"y": Float(1e-3, 1, log=True)}, "b": {}}),
        "o": Ordinal([1, 2, 4]),
    }
)


@pytest.mark.parametrize("name", NAMES)
def test_two_hundred_parameters(recorder, name):
    sampler = make_sampler(name)
    record = recorder(sampler, HUNDREDS).random_trials(HUNDREDS, [n / 30 for n in range(30)])
    check(HUNDREDS, sampler.suggest(HUNDREDS, record.history, Request(1), Rng(0, 30)), name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.5, None])
def test_a_single_result(recorder, name, value):
    sampler = make_sampler(name)
    record = recorder(sampler, MIXED).random_trials(MIXED, [value])
    for number in range(1, 6):
        check(MIXED, sampler.suggest(MIXED, record.history, Request(1), Rng(3, number)), name)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "grid"])
def test_parallel_asks_give_different_points(recorder, name):
    """Sixteen workers ask before any of them answers."""
    space = compile_space({f"x{i}": Float(0, 1) for i in range(4)})
    sampler = make_sampler(name)
    record = recorder(sampler, space).random_trials(space, [abs(n - 20) / 40 for n in range(40)])
    asked = []
    for number in range(40, 56):
        suggestion = sampler.suggest(space, record.history, Request(1), Rng(0, number))
        asked.append(suggestion.values)
        record.start(suggestion.values, 1, suggestion.origin)
    assert len(set(asked)) == 16


@pytest.mark.parametrize("name", NAMES)
def test_what_a_running_trial_reports_on_the_way_is_no_result(recorder, name):
    """Only results count: neither a report between gates nor what will come is seen."""
    found = []
    for value in (-1e6, 0.5, math.nan):
        sampler = make_sampler(name)
        record = recorder(sampler, MIXED).random_trials(MIXED, [n / 30 for n in range(30)], until=9)
        running = record.start(MIXED.sample(7, 7), 9)
        record.history.fold(Reported(running, 4, {"loss": value}))
        found.append(sampler.suggest(MIXED, record.history, Request(9), Rng(0, 31)))
    assert repr(found[0]) == repr(found[1]) == repr(found[2])


def calls(function: Any) -> int:
    """How many functions are called, Python's and built-in ones."""
    count = 0

    def tick(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tick)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", NAMES)
def test_the_work_of_a_suggestion_does_not_grow(recorder, name):
    """Calls of the dearest of eight suggestions, each after one more result: at 3,000 trials as at 1,000."""
    sampler = make_sampler(name)
    work = {}
    record = recorder(sampler, MIXED)
    for size in (1000, 3000):
        count = size - len(record.history)
        record.random_trials(MIXED, [math.sin(n) for n in range(count)])
        sampler.suggest(MIXED, record.history, Request(1), Rng(0, size))
        counts = []
        for number in range(size, size + 8):
            record.trial(MIXED.sample(1, number), 0.1)
            rng = Rng(0, number)
            counts.append(calls(lambda rng=rng: sampler.suggest(MIXED, record.history, Request(1), rng)))
        work[size] = max(counts)
    assert work[3000] <= 1.5 * work[1000] + 500
