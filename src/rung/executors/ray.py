"""Jobs on a Ray cluster: many machines, which may join and leave. The one file that calls Ray.

Only Ray's core is used: each slot is an actor (`rung.executors.ray_host`), several nodes for one trial are a
placement group. Ray retries nothing.

- Without an address a private Ray is started: on loopback, with a token of its own, ended with the study.
- With one (or `RAY_ADDRESS`, as `ray job submit` sets it) the cluster there is joined. Its token is Ray's own
  business: `RAY_AUTH_MODE`, `RAY_AUTH_TOKEN` and `RAY_AUTH_TOKEN_PATH` are passed through.
- A program that has called `ray.init` itself keeps its connection.
- The driver (this process) dies: Ray ends the actors, and they their processes. The log is whole.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, Final

from rung.errors import StudyError
from rung.executors.calling import style_of
from rung.executors.needs import Needs
from rung.executors.processes import Shipped, cores, dump
from rung.executors.ray_door import checked, opened, same
from rung.executors.ray_errors import ClusterLostError, cannot_connect, connection_lost, lost, raised
from rung.executors.ray_host import Brief, Hello, Host
from rung.executors.ray_places import Gone
from rung.executors.ray_pool import PoolExecutor
from rung.executors.setup import Setup

_STORE: Final = 100 * 2**20  # bytes of a private Ray's object store: jobs and events are small
_WAIT: Final = "RUNG_RAY_WAIT"  # seconds to wait for a node that can hold a trial
_KNOCK: Final = 5.0  # seconds to wait for the head at its door
_HEAD: Final = 15.0  # seconds without the head after which the study gives up
_LOOPBACK: Final = "127.0.0.1"
_private_token = secrets.token_hex(32)  # Ray keeps the first that a process shows


def on_ray(setup: Setup) -> PoolExecutor:
    """The executor of this setup on `setup.address`, on `RAY_ADDRESS`, or on a Ray of its own.

    Raises:
        StudyError: no cluster answers there, it has another version or refuses the token; the objective
            cannot be sent; no node can hold a trial.
    """
    style, pickled = style_of(setup.objective), dump(setup.objective)
    needs = setup.needs or Needs()
    cluster = RayCluster(setup.address or os.environ.get("RAY_ADDRESS"), _cores_for(setup, needs))
    try:
        cluster.brief(setup, Shipped(pickled, style))
        return PoolExecutor(setup, cluster, patience=0.0 if cluster.private else patience())
    except BaseException:
        cluster.close()
        raise


def _cores_for(setup: Setup, needs: Needs) -> int:
    """Those of a private Ray: of this machine, or more if the user wants more workers than that."""
    return max(cores(), 0 if setup.elastic else ceil(setup.workers * needs.cpus))


def patience() -> float:
    """Seconds to wait for a node that can hold a trial.

    Raises:
        StudyError: what the environment says is no number.
    """
    text = os.environ.get(_WAIT, "60")
    try:
        return max(0.0, float(text))
    except ValueError:
        raise StudyError(f"{_WAIT} must be a number of seconds, not {text!r}") from None


class Actor(Host):
    """A slot as an actor."""

    def hello(self) -> Hello:
        """Who it is, and where."""
        ray = _ray()
        return self.introduce(ray.get_runtime_context().get_node_id(), ray.util.get_node_ip_address())


class RayCluster:
    """A connection to a Ray cluster.

    Args:
        address: of a cluster that runs; None, or Ray's word "local": start one on this machine, with so many
            `cores`.

    Raises:
        StudyError: it cannot be joined, or not be started.
    """

    def __init__(self, address: str | None, cores: int) -> None:
        address = None if address in (None, "", "local") else checked(address)
        self._ray = _ray()
        self._owned = not self._ray.is_initialized()
        self.private = self._owned and address is None
        self._lost = False  # the connection to the cluster
        self._known: dict[str, Mapping[str, float]] = {}
        self._unreached: float | None = None  # since when it has not answered
        self._briefed: Any = None
        self._token: Path | None = None
        if self._owned:
            self._connect(address, cores)
        elif address not in (None, "auto") and not same(address, self._ray.get_runtime_context().gcs_address):
            raise StudyError(
                f"this process has joined another Ray cluster than {address!r}: call ray.shutdown() first, "
                "or leave the address"
            )

    def _connect(self, address: str | None, cores: int) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        _hush()
        try:
            if address is not None:
                self._ray.init(address=opened(address), **quiet)
                return
            with _alone(self._ray):
                self._ray.init(
                    address="local",
                    num_cpus=cores,
                    include_dashboard=False,
                    object_store_memory=_STORE,
                    _node_ip_address=_LOOPBACK,
                    **quiet,
                )
        except StudyError:
            raise
        except Exception as error:  # noqa: BLE001  # Ray raises many kinds, and none is documented
            with suppress(Exception):
                self._ray.shutdown()
            raise StudyError(cannot_connect(error, address)) from None

    def brief(self, setup: Setup, shipped: Shipped) -> None:
        """Put what all slots are given where they can fetch it, once for each node."""
        folder = Path(os.path.abspath(setup.folder))
        folder.mkdir(parents=True, exist_ok=True)
        token = folder / f".shared-{secrets.token_hex(8)}"
        token.touch()
        self._token = token
        sent = replace(setup, objective=_nothing, workers=1, folder=folder, gpus=(), address=None)
        path = tuple(os.path.abspath(entry) for entry in (*setup.paths, *sys.path))
        self._briefed = self._ray.put(Brief(shipped, sent, path, tuple(sys.argv), os.getcwd(), token.name))

    # -- what `ray_pool.Cluster` asks for -------------------------------------------------------------

    def nodes(self) -> dict[str, Mapping[str, float]]:
        """The resources of each node that is alive.

        Ray would wait for a minute for a head that is gone, and then end this process: so it is not asked
        before its door is tried.
        """
        if not self._reached():
            return self._known
        with self._connected():
            found = self._ray.nodes()
        self._known = {node["NodeID"]: node["Resources"] for node in found if node["Alive"]}
        return self._known

    def _reached(self) -> bool:
        """Whether the cluster's head answers.

        Raises:
            StudyError: it has not for a while.
        """
        address = self._ray.get_runtime_context().gcs_address
        try:
            _knock(address)
        except OSError as error:
            now = time.monotonic()
            self._unreached = self._unreached or now
            if now - self._unreached > _HEAD:
                self._lost = True
                raise ClusterLostError(connection_lost(error)) from None
            return False
        self._unreached = None
        return True

    def start(self, number: int, needs: Needs, home: str | None) -> tuple[list[Any], Any]:
        """Begin to start the members of a slot."""
        from ray.util.scheduling_strategies import (
            NodeAffinitySchedulingStrategy,
            PlacementGroupSchedulingStrategy,
        )

        with self._connected():
            group = None
            if needs.nodes > 1:
                group = self._ray.util.placement_group([needs.resources()] * needs.nodes, "STRICT_SPREAD")
                places: list[Any] = [
                    PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank)
                    for rank in range(needs.nodes)
                ]
            else:
                places = [None if home is None else NodeAffinitySchedulingStrategy(home, soft=True)]
            actors = [
                self._actor(needs, place).remote(self._briefed, number, rank, needs, group is None)
                for rank, place in enumerate(places)
            ]
        return actors, group

    def _actor(self, needs: Needs, place: Any) -> Any:
        asked = needs.resources()
        return self._ray.remote(Actor).options(
            num_cpus=asked.pop("CPU", 0),
            num_gpus=asked.pop("GPU", 0),
            memory=asked.pop("memory", None),
            resources=asked,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=3,  # `cancel` comes while `turn` waits
            scheduling_strategy=place,
        )

    def ask(self, member: Any, method: str, *arguments: Any) -> Any:
        """Call a method of the actor."""
        return getattr(member, method).remote(*arguments)

    def wait(self, references: Sequence[Any], timeout: float) -> list[Any]:
        """Those of the references whose answers are there."""
        references = list(references)
        with self._connected():
            ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
            if not ready and timeout > 0:
                ready, _ = self._ray.wait(references, num_returns=1, timeout=timeout)
        return list(ready)

    def answer(self, reference: Any) -> Any:
        """The answer, or why there is none."""
        exceptions = self._ray.exceptions
        try:
            with self._connected():
                return self._ray.get(reference)
        except exceptions.RayTaskError as error:
            raise Gone(lost(error.cause or error), raised=True) from None
        except exceptions.RayError as error:
            raise Gone(lost(error), raised=raised(error)) from None

    def end(self, members: Sequence[Any], group: Any) -> None:
        """Kill the actors, give their places back."""
        if self._lost:
            return
        with suppress(Exception):  # they may be gone already
            for member in members:
                self._ray.kill(member)
            if group is not None:
                self._ray.util.remove_placement_group(group)

    def close(self) -> None:
        """Leave the cluster; a private one ends."""
        if self._token is not None:
            with suppress(OSError):
                self._token.unlink(missing_ok=True)
        if self._owned:
            self._owned = False
            if self._lost:
                _forget(self._ray)
                return
            with suppress(Exception):
                self._ray.shutdown()

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """What Ray raises when the cluster is out of reach is a sentence."""
        exceptions = self._ray.exceptions
        try:
            yield
        except (exceptions.RpcError, exceptions.RaySystemError, exceptions.LocalRayletDiedError) as error:
            raise ClusterLostError(connection_lost(error)) from None


def _knock(address: str) -> None:
    """Find out whether somebody listens at HOST:PORT.

    Raises:
        OSError: nobody.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK):
        pass


def at_the_door(address: str) -> None:
    """Print HOST:PORT of the cluster at `address`, or why it cannot be used, and end with 1.

    `rung.executors.ray_door` runs it in a process of its own.
    """
    _ray()
    try:
        from ray._private import services
        from ray._raylet import GcsClient  # type: ignore[attr-defined]  # of Cython

        found = services.canonicalize_bootstrap_address_or_die(address)
        _knock(found)
        services.get_node_to_connect_for_driver(GcsClient(address=found))
    except (ImportError, AttributeError):  # a Ray whose inner names are others
        print(address)
    except Exception as error:  # noqa: BLE001  # Ray raises many kinds, and none is documented
        print(cannot_connect(error, address))
        sys.exit(1)
    else:
        print(found)


def _forget(ray: Any) -> None:
    """Leave a cluster whose head is gone, without the farewell that would wait for it."""
    atexit.unregister(ray.shutdown)


def _hush() -> None:
    """Keep Ray from printing what its daemons say of a node that died: pages, and to where results go."""
    from ray._private import worker

    said: Any = worker
    if hasattr(said, "print_to_stdstream"):
        said.print_to_stdstream = lambda data, ignore_prefix: None


def _nothing() -> None:
    """Stands for the objective in a setup that travels without it."""


def _ray() -> Any:
    """Ray, without its statistics of usage being sent."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray.util

        import ray
    except ImportError as error:
        raise StudyError(f"the executor 'ray' needs Ray: pip install 'rung[ray]' ({error})") from None
    return ray


@contextmanager
def _alone(ray: Any) -> Iterator[None]:
    """Settings under which a Ray of our own starts: on loopback only, nobody else has its token.

    Ray listens on all interfaces unless told that this machine makes no cluster, and without a token it
    would write one into the user's home that others can read.
    """
    from ray._private import ray_constants

    ours = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    home = Path.home() / ".ray" / "auth_token"
    if not os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} and not home.exists():
        ours["RAY_AUTH_TOKEN"] = _private_token
    earlier = {name: os.environ.get(name) for name in ours}
    clustered = ray_constants.ENABLE_RAY_CLUSTER
    os.environ.update(ours)
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = clustered
        for name, value in earlier.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
