"""Ray's errors as sentences."""

import pytest

from rung.executors.ray_door import same
from rung.executors.ray_errors import cannot_connect, connection_lost, lost, quoted, raised, without_secrets

TOKEN = "0123456789abcdef" * 4


class AuthenticationError(Exception):
    """Named as Ray's."""


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            chained(
                ConnectionError("Failed to connect"), AuthenticationError("RPC error: InvalidAuthToken: no")
            ),
            "does not accept this token, or got none: set RAY_AUTH_TOKEN",
        ),
        (RuntimeError("Token authentication is enabled but no token was found"), "asks for a token"),
        (
            RuntimeError(
                "Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.11.2\n"
                "This process on 10.0.0.7 was started with:\n    Ray: 2.58.1\n    Python: 3.12.0\n"
            ),
            "runs Ray 2.60.0 with Python 3.11.2, but this process Ray 2.58.1 with Python 3.12.0",
        ),
        (RuntimeError("Token authentication is enabled but Ray couldn't find an"), "asks for a token"),
        (
            ConnectionRefusedError(111, "Connection refused"),
            "no Ray cluster answers at '10.0.0.1:6379' (Connection refused)",
        ),
        (RuntimeError("Timed out while waiting for GCS to become available."), "no Ray cluster answers at"),
        (RuntimeError("RPC error: Received http2 header with status: 404"), "no Ray cluster answers at"),
        (RuntimeError("No node info found matching attributes: ''"), "this machine is none of its nodes"),
        (RuntimeError("the disk is full"), "cannot be used: the disk is full"),
    ],
)
def test_why_a_cluster_cannot_be_joined(error: Exception, said: str) -> None:
    assert said in cannot_connect(error, "10.0.0.1:6379")


def test_no_cluster_on_this_machine() -> None:
    said = cannot_connect(ConnectionError("Could not find any running Ray instance."), "auto")
    assert said.startswith("no Ray cluster answers that this machine is in: start one by `ray start --head`")


def test_ones_own_ray() -> None:
    assert cannot_connect(RuntimeError("no room"), None) == "Ray on this machine cannot be used: no room"


def test_how_a_job_was_lost() -> None:
    assert lost(Exception("The actor died because its node has died.")) == "its node was lost"
    assert "runs out of memory" in lost(Exception("killed due to the node running low on memory"))
    assert "out of reach" in lost(Exception("The actor 1 is unavailable: Socket closed"))
    assert lost(Exception("it exited\nwith 1")) == "its worker was lost: it exited with 1"
    made = Exception("The actor died because of an error raised in its creation task\n  at\nValueError: no")
    assert (raised(made), lost(made)) == (True, "its worker cannot start: ValueError: no")


def test_no_token_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TOKEN not in quoted(Exception(f"bad token {TOKEN}"))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "my-own-word")
    assert "my-own-word" not in connection_lost(Exception("sent my-own-word"))
    assert without_secrets("a my-own-word b", {"RAY_AUTH_TOKEN": "my-own-word"}) == "a *** b"


@pytest.mark.parametrize(
    ("one", "other", "are"),
    [
        ("127.0.0.1:6379", "127.0.0.1:6379", True),
        ("localhost:6379", "127.0.0.1:6379", True),
        ("127.0.0.1:6379", "127.0.0.2:6379", True),  # both this machine's, as a node's name and its loopback
        ("127.0.0.1:6379", "127.0.0.1:6380", False),
        ("127.0.0.1:6379", "192.0.2.1:6379", False),
    ],
)
def test_whether_two_addresses_are_of_one_cluster(one: str, other: str, are: bool) -> None:
    assert same(one, other) is are
