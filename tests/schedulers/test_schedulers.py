"""The table of schedulers, and each one's settings."""

from __future__ import annotations

import pytest

from rung.errors import StudyError
from rung.schedulers import SCHEDULERS, known_schedulers, make_scheduler, spec_of
from rung.schedulers.async_hyperband import AsyncHyperband
from rung.trials.events import Spec


@pytest.mark.parametrize("name", SCHEDULERS)
def test_each_name_makes_one_that_the_log_can_keep(name):
    scheduler = make_scheduler(name)
    spec = spec_of(scheduler)
    assert spec.name == name
    assert make_scheduler(spec) == scheduler
    assert SCHEDULERS[name].line
    assert known_schedulers()[name] is SCHEDULERS[name]


def test_settings_survive():
    assert spec_of(AsyncHyperband(3)) == Spec("async-hyperband", {"brackets": 3})
    assert make_scheduler(Spec("async-hyperband", {"brackets": 3})) == AsyncHyperband(3)


def test_the_closest_name_is_named():
    with pytest.raises(StudyError, match="unknown scheduler 'ahsa': did you mean 'asha'"):
        make_scheduler("ahsa")


def test_no_brackets_are_refused():
    with pytest.raises(StudyError, match="at least 1 bracket"):
        AsyncHyperband(0)
