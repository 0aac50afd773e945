"""`rung.cli.output`: tables of many rows look as Rich's do."""

import pytest

from rung.cli import output

COLUMNS, RIGHT = ("study", "best", "time"), ("best", "time")


def by_rich(rows):
    table = output.grid(*COLUMNS, right=RIGHT)
    for row in rows:
        table.add_row(*row)
    output.out().print(table)


@pytest.mark.parametrize(
    "rows",
    [
        [("a", "0.5", "1.0 s")],
        [("a long name [b]", "-", "1 h"), ("é漢字", "1e-05", "4.0 s"), ("", "", "")],
        [("two\nlines", "1", "2 s")],
        [("w" * 12_000, "1", "2 s")],
    ],
)
def test_rows_look_as_rich_lays_them_out(rows, capsys):
    by_rich(rows)
    expected = capsys.readouterr().out
    output.print_rows(COLUMNS, rows, right=RIGHT)
    assert capsys.readouterr().out == expected


def test_many_rows_are_laid_out_without_rich(monkeypatch, capsys):
    monkeypatch.setattr("rich.table.Table.__init__", None)  # to use it would be an error
    output.print_rows(COLUMNS, [(f"study-{i}", "0.5", "1.0 s") for i in range(1000)], right=RIGHT)
    assert len(capsys.readouterr().out.splitlines()) == 1002
