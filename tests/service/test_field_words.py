"""What is wrong with a request's fields, in words of ours."""

import pytest
from pydantic import ValidationError

from rung.service.field_words import Wrong, wrongs
from rung.service.models import Known, NewStudy, Tell

SPACE = {"parameters": []}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, {"space": "is missing"}),
        ({"space": 3}, {"space": "must be an object of names and values"}),
        ({"space": SPACE, "trials": "x"}, {"trials": "must be a whole number"}),
        ({"space": SPACE, "seed": 1.5}, {"seed": "must be a whole number"}),
        ({"space": SPACE, "devices": "many"}, {"devices": "must be a whole number or 'auto'"}),
        ({"space": SPACE, "devices": 0}, {"devices": "must be at least 1 or 'auto'"}),
        ({"space": SPACE, "budget": []}, {"budget": "must be text or a number"}),
        ({"space": SPACE, "metric": 3}, {"metric": "must be text or a list"}),
        ({"space": SPACE, "scaling": {"2": "x"}}, {"scaling.2": "must be a number"}),
        ({"space": SPACE, "weight": 0}, {"weight": "must be more than 0"}),
        ({"space": SPACE, "priority": 1001}, {"priority": "must be at most 1000"}),
        ({"space": SPACE, "name": "n" * 201}, {"name": "must have at most 200 characters"}),
        (
            {"space": SPACE, "nope": 1, "eta": "a"},
            {"nope": "is not known here", "eta": "must be a whole number"},
        ),
        (
            {"space": SPACE, "objective": "train.py"},
            {"objective": "must name a function that workers have, as MODULE:FUNCTION"},
        ),
    ],
)
def test_a_new_study(given, words):
    with pytest.raises(ValidationError) as error:
        NewStudy.model_validate(given)
    assert {".".join(wrong.place): wrong.words for wrong in wrongs(error.value.errors())} == words


def test_kinds_of_a_value_within_are_told_apart_from_names():
    with pytest.raises(ValidationError) as error:
        Tell.model_validate({"outcome": "good", "metrics": {"int": "x"}})
    found = wrongs(error.value.errors())
    assert found[0].words.startswith("must be 'finished', 'error'")
    assert found[1] == Wrong(("metrics", "int"), "must be a number or a whole number")
    with pytest.raises(ValidationError) as error:
        Known.model_validate({"config": {}, "metrics": []})
    assert [wrong.place for wrong in wrongs(error.value.errors())] == [("metrics",)]
