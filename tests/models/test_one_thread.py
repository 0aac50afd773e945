"""Linear algebra in one thread, while something is decided."""

import pytest
import scipy.linalg  # noqa: F401  # its BLAS is to be loaded before the threads are counted
from threadpoolctl import threadpool_info, threadpool_limits

import rung
from rung.models import process
from rung.models.one_thread import one_thread


def _threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def _three_threads():
    with threadpool_limits(3, user_api="blas"):
        assert _threads() != {1}
        yield


def test_within_the_function_there_is_one_and_afterwards_as_many_as_before():
    before = _threads()
    assert one_thread()(_threads)() == {1}
    assert _threads() == before


def test_an_exception_gives_back_what_was_before():
    before = _threads()
    with pytest.raises(ZeroDivisionError):
        one_thread()(lambda: 1 / 0)()
    assert _threads() == before


def test_a_decision_of_the_gaussian_process_is_made_in_one_thread(monkeypatch):
    seen = []

    def fit(*given, **named):
        seen.append(_threads())
        return process.fit(*given, **named)

    monkeypatch.setattr("rung.samplers.ladder.fit", fit)
    space = {"x": rung.Float(-1.0, 1.0)}
    rung.tune(lambda config: config["x"] ** 2, space, sampler="gp", trials=8, quiet=True)
    assert seen
    assert set(map(frozenset, seen)) == {frozenset({1})}
