"""Names between commas, and what is said where one is none of the table's."""

from __future__ import annotations

import pytest

from rung.tabular.names import no_column, parts_between_commas, quoted, unquoted


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        (" a , ,b ,", ["a", "b"]),
        ('"a,b",c', ["a,b", "c"]),
        ('c, "a,b"', ["c", "a,b"]),
        ('"say ""so"", please"', ['say "so", please']),
        ('5" pipe,b', ['5" pipe', "b"]),
        ('"a,b', ['"a', "b"]),
        ("", []),
    ],
)
def test_names_between_commas(text, names):
    assert [unquoted(part) for part in parts_between_commas(text)] == names


@pytest.mark.parametrize("name", ["a", "a b", "a,b", '"a"', '"', 'x "y", z', " a", ",", "a=b"])
def test_a_quoted_name_is_read_back(name):
    assert [unquoted(part) for part in parts_between_commas(f"first,{quoted(name)},last")][1:-1] == [name]


def test_a_part_of_a_name_with_commas_is_told_how_to_write_it():
    assert no_column("height", ["age", "height, in cm"]) == (
        "the table has no column 'height', but 'height, in cm': among several a name with a comma stands in "
        "double quotes, within single ones ('\"height, in cm\"')"
    )
    assert no_column("agee", ["age", "size"]) == "the table has no column 'agee'; did you mean age?"
