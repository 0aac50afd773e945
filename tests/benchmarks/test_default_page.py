"""docs/default.md shows what its command prints."""

import re
import sys
from pathlib import Path

from benchmarks import default

PAGE = Path(__file__).parents[2] / "docs" / "default.md"


def test_the_page_shows_what_its_command_prints(capsys, monkeypatch):
    command, shown = re.findall(r"```\n(.*?)```", PAGE.read_text(), re.DOTALL)
    words = command.split()
    assert words[:3] == ["python", "-m", "benchmarks.default"]
    monkeypatch.setattr(sys, "argv", words[2:])
    default.main()
    assert capsys.readouterr().out.strip() == shown.strip()
