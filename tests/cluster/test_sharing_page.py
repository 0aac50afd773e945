"""The example of the user's page is what the sharing does."""

from __future__ import annotations

from pathlib import Path

from support.sharing_world import World

PAGE = Path(__file__).parents[2] / "docs" / "sharing.md"


def test_the_table_of_the_page_is_what_studies_get() -> None:
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `")
    ]
    examples = [row for row in rows if len(row) == 7]
    assert len(examples) == 5
    world = World()
    for number in range(5):
        world.join(f"n{number}", 4)
    for name, weight, priority, least, most, wants, _ in examples:
        world.claim(
            name,
            weight=float(weight),
            priority=int(priority),
            minimum=int(least or 0),
            maximum=int(most) if most else None,
            waiting=1000 if wants == "many" else int(wants),
        )
    world.act()
    assert {row[0]: int(row[-1]) for row in examples} == {row[0]: world.held(row[0]) for row in examples}
