"""The table of faults names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_each_test_that_the_table_names_is_there():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "reliability.md").read_text()))
    defined: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        defined |= set(re.findall(r"^ *def (test_\w+)\(", path.read_text(), re.MULTILINE))
    assert len(named) > 40
    assert named - defined == set()
