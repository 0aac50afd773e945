"""`rung doctor`, amounts of memory."""

import json

import pytest

from rung.cli.doctor import has_wal_bug
from rung.cli.sizes import size, spoken_size
from rung.errors import UserError


@pytest.mark.parametrize(
    ("version", "bug"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((4, 0, 0), False),
    ],
)
def test_which_sqlite_has_the_bug(version: tuple[int, int, int], bug: bool) -> None:
    assert has_wal_bug(version) is bug


def test_doctor(rung, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version", "3.40.1")
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 40, 1))
    found = json.loads(rung("doctor", "--json").stdout)
    assert found["sqlite"] == {"version": "3.40.1", "wal_bug": True}
    assert 0 <= found["cores"]["free"] <= found["cores"]["usable"] <= found["cores"]["machine"]
    assert 0 < found["memory"]["available"] <= found["memory"]["total"]
    assert found["disk"]["writable"] is True
    assert all(found["installed"].values())
    assert any("WAL-reset bug" in text for text in found["warnings"])
    assert "WAL-reset bug" in rung("doctor").stdout


def test_a_good_sqlite_gets_no_warning(rung, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 51, 3))
    assert "WAL-reset" not in rung("doctor").stdout


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1000", 1000),
        ("2GB", 2 * 10**9),
        ("2 gb", 2 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("500M", 5 * 10**8),
        ("1k", 1000),
    ],
)
def test_sizes(text: str, amount: int) -> None:
    assert size(text) == amount


@pytest.mark.parametrize("text", ["", "lots", "-1GB", "0", "2XB", "GB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UserError, match="no amount of memory"):
        size(text)


@pytest.mark.parametrize(
    ("amount", "text"), [(999, "999 B"), (1500, "1.5 kB"), (25.3e9, "25.3 GB"), (4e12, "4.0 TB")]
)
def test_spoken_sizes(amount: float, text: str) -> None:
    assert spoken_size(amount) == text
