"""What the service counts, in Prometheus' text form, on a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

MEDIA: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Facts(msgspec.Struct, frozen=True):
    """What a service knows of itself at a moment.

    Attributes:
        studies: how many, by state.
        trials: of the studies that this process runs.
        running: jobs handed out whose lease runs.
        queue: jobs that could start now if there were slots.
        workers, slots, free: machines lent, what they have, and what of it is free.
        leases_lost, preempted, commits: since the process started.
    """

    studies: Mapping[str, int] = {}
    trials: int = 0
    running: int = 0
    queue: int = 0
    workers: int = 0
    slots: int = 0
    free: int = 0
    leases_lost: int = 0
    preempted: int = 0
    commits: int = 0


_GAUGES: Final = {
    "trials": "Trials of the studies that run here.",
    "running": "Jobs that are handed out.",
    "queue": "Jobs that could start now if there were slots.",
    "workers": "Machines that are lent.",
    "slots": "Slots of the machines that are lent.",
    "free": "Slots that are free.",
}
_NAMES: Final = {
    "running": "jobs_running",
    "queue": "jobs_waiting",
    "free": "slots_free",
    "preempted": "jobs_preempted",
}
_COUNTERS: Final = {
    "leases_lost": "Jobs of which nothing was heard for too long.",
    "preempted": "Jobs that were asked to stop for another study.",
    "commits": "Transactions that made events durable.",
}


class Metrics:
    """Counts requests as they come, and asks `facts` for the rest when it is read.

    Args:
        facts: may be slow; it is called by `text`, in the thread of its caller.
    """

    def __init__(self, facts: Callable[[], Facts] | None = None) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "rung_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "rung_http_request_seconds",
            "From a request's head to the end of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.under_way = Gauge(
            "rung_http_requests_under_way", "Requests that are being answered.", registry=self.registry
        )
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        if facts is not None:
            self.registry.register(_Facts(facts))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is a template, never a path, "" for what matched none."""
        if not route:  # somebody guesses: whatever method they make up is one
            method, route = "any", "none"
        key = (method, route, status)
        found = self._children.get(key)
        if found is None:
            counter = self._requests.labels(method, route, str(status))
            found = self._children[key] = (counter, self._seconds.labels(method, route))
        found[0].inc()
        found[1].observe(seconds)

    def text(self) -> bytes:
        """Everything, as `/metrics` sends it."""
        return generate_latest(self.registry)


class _Facts(Collector):
    """What is asked when it is read."""

    def __init__(self, facts: Callable[[], Facts]) -> None:
        self._facts = facts

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        facts = self._facts()
        studies = GaugeMetricFamily("rung_studies", "Studies of the storage.", labels=["state"])
        for state, number in sorted(facts.studies.items()):
            studies.add_metric([state], number)
        yield studies
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(f"rung_{_NAMES.get(name, name)}", text, getattr(facts, name))
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"rung_{_NAMES.get(name, name)}", text, getattr(facts, name))
