"""Suggestions of samplers that are not ours: taken as plain values, or refused with the sampler's name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import rung
from rung.errors import StudyError
from rung.samplers import SAMPLERS, make_sampler
from rung.samplers.base import Suggestion
from rung.space.values import INACTIVE
from rung.study.suggested import checked
from rung.trials.events import Origin

SPACE = {"x": rung.Float(0, 1), "o": rung.Choice({"a": {"k": rung.Categorical([[1], 2])}, "b": {}})}
MINE = Origin("mine")


@dataclass(frozen=True)
class Mine:
    found: ClassVar[Any] = None

    def suggest(self, space: Any, history: Any, request: Any, rng: Any) -> Any:
        return self.found


def tried(found: Any) -> list[Any]:
    Mine.found = found
    result = rung.tune(lambda config: 1.0, SPACE, sampler=Mine(), noisy=True, trials=2, quiet=True)
    return [trial.config for trial in result.trials]


@pytest.mark.parametrize(
    ("values", "config"),
    [
        ((0.5, "b", INACTIVE), {"x": 0.5, "o": "b"}),
        ((np.float32(0.5), np.str_("a"), np.int64(2)), {"x": 0.5, "o": "a", "k": 2}),
        ([1, "a", "[1]"], {"x": 1.0, "o": "a", "k": [1]}),
    ],
)
def test_what_is_in_the_space_is_run_as_plain_values(values, config):
    assert tried(Suggestion(values, MINE)) == [config, config]
    assert [type(value) for value in tried(Suggestion(values, MINE))[0].values()] == [
        type(value) for value in config.values()
    ]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (Suggestion((5.0, "b", INACTIVE), MINE), "parameter 'x' is 5.0, which is not between"),
        (Suggestion((float("nan"), "b", INACTIVE), MINE), "parameter 'x' is nan"),
        (Suggestion((0.5, "z", INACTIVE), MINE), "parameter 'o' is 'z'"),
        (Suggestion((0.5, "b"), MINE), "it has 2 values, and the space has x, o, o.a.k"),
        (Suggestion((0.5, "a", INACTIVE), MINE), "no value for parameter 'o.a.k', which is active"),
        (Suggestion((0.5, "b", 2), MINE), "parameter 'k', which is not active"),
        (Suggestion(3, MINE), "has no len()"),
        (Suggestion((0.5, "b", INACTIVE), "mine"), "a sampler returns"),
        ({"x": 0.5, "o": "b"}, "a sampler returns"),
    ],
)
def test_what_is_not_is_refused_with_the_samplers_name(found, sentence):
    with pytest.raises(StudyError, match=f"the sampler Mine suggested .*{re.escape(sentence)}"):
        tried(found)


def test_samplers_of_ours_are_taken_as_they_are():
    for name in SAMPLERS:
        sampler = make_sampler(name)
        assert checked(sampler) is sampler
