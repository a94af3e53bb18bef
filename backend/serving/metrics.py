"""What the endpoint counts, in the text format that Prometheus reads."""

from __future__ import annotations

import os
import statistics
from collections import deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ERROR = 400
_RECENT = 1_000  # requests whose times are remembered one by one


class Figure(NamedTuple):
    """A figure of now: one of ``FIGURES``, its value, and its labels."""

    name: str
    value: float
    labels: Mapping[str, str]


# Figures that whoever serves adds, by name: what they mean. docs/operations.md lists them.
FIGURES = {
    "jobs": "Jobs by kind and state.",
    "job_last_run_seconds": "Duration of the job that ended last.",
    "job_last_success_timestamp_seconds": "When a job last succeeded.",
    "index_behind_versions": "Catalogue versions that the index in use lacks.",
    "index_behind_products": "Products that differ between the index in use and its catalogue.",
    "catalogue_changed_timestamp_seconds": "When a catalogue was last changed.",
    "rules_version": "Version of the rules published last; 0 for none.",
    "disk_free_bytes": "Free space on the disk of the home.",
    "alerts_open": "Open alerts by kind.",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """How the newest good answers were: how many are looked at, and the middle and the slow of their times in ms.

    ``requests`` and ``errors`` count all since the start; both percentiles are None before the first answer.
    """

    requests: int
    errors: int
    recent: int
    p50_ms: float | None
    p95_ms: float | None


class Metrics:
    """Counts requests by route and status, and how long they took; from any thread.

    Each has a registry of its own: two endpoints in one process count apart, and nothing of the library's own is told.
    """

    def __init__(self) -> None:
        # Else each count would come a second time, with the moment of its first request.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(
            "twinset_requests", "Requests answered.", ("route", "method", "status"), registry=self._registry
        )
        self._errors = Counter(
            "twinset_errors", "Requests refused or failed.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "twinset_request_seconds",
            "Seconds from the first byte to the answer.",
            ("route",),
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._counted = cache(self._labelled)  # looking labels up is half of what counting costs
        self._lock = Lock()
        self._recent: dict[str, deque[float]] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request; ``route`` is one of a fixed few, never a path someone made up."""
        requests, taken, errors = self._counted(route, method, status)
        requests.inc()
        taken.observe(seconds)
        if errors is not None:
            errors.inc()
            return
        with self._lock:
            self._recent.setdefault(route, deque(maxlen=_RECENT)).append(seconds)

    def _labelled(self, route: str, method: str, status: int) -> tuple[Counter, Histogram, Counter | None]:
        errors = self._errors.labels(route, status) if status >= _ERROR else None
        return self._requests.labels(route, method, status), self._seconds.labels(route), errors

    def answers(self, routes: Iterable[str]) -> Answers:
        """Say how some routes answer."""
        chosen = set(routes)
        with self._lock:
            times = sorted(seconds * 1e3 for route in chosen for seconds in self._recent.get(route, ()))
        return Answers(
            requests=_total(self._requests, chosen),
            errors=_total(self._errors, chosen),
            recent=len(times),
            p50_ms=round(statistics.median(times), 2) if times else None,
            p95_ms=round(times[min(len(times) - 1, int(0.95 * len(times)))], 2) if times else None,
        )

    def as_text(self, gauges: Mapping[str, float], info: Mapping[str, str], figures: Iterable[Figure] = ()) -> str:
        """Return everything counted, figures of now, and the labels of what is served."""
        now = CollectorRegistry(auto_describe=True)
        for name, value in gauges.items():
            Gauge(f"twinset_{name}", name.replace("_", " ").capitalize() + ".", registry=now).set(value)
        known: dict[str, Gauge] = {}
        for name, value, labels in figures:
            if name not in known:
                known[name] = Gauge(f"twinset_{name}", FIGURES[name], tuple(labels), registry=now)
            (known[name].labels(**labels) if labels else known[name]).set(value)
        Info("twinset_model", "What is served.", registry=now).info(dict(info))
        return (generate_latest(self._registry) + generate_latest(now)).decode()


def _total(counter: Counter, routes: set[str]) -> int:
    (family,) = counter.collect()
    return int(sum(sample.value for sample in family.samples if sample.labels["route"] in routes))


def resident_bytes() -> int:
    """Memory of this process that is in RAM, in bytes; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.is_file() else 0
