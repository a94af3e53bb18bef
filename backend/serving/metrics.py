"""What the endpoint counts, in the text format that Prometheus reads."""

from __future__ import annotations

import os
import statistics
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ERROR = 400
_RECENT = 1_000  # requests whose times are remembered one by one


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
    """Counts requests by route and status, and how long they took."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: Counter[tuple[str, float]] = Counter()
        self._seconds: Counter[str] = Counter()
        self._taken: dict[str, float] = {}
        self._recent: dict[str, deque[float]] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request; ``route`` is one of a fixed few, never a path somebody made up."""
        with self._lock:
            self._requests[route, method, status] += 1
            self._seconds[route] += 1
            self._taken[route] = self._taken.get(route, 0.0) + seconds
            if status < _ERROR:
                self._recent.setdefault(route, deque(maxlen=_RECENT)).append(seconds)
            for bucket in BUCKETS_S:
                if seconds <= bucket:
                    self._buckets[route, bucket] += 1

    def answers(self, routes: Iterable[str]) -> Answers:
        """Say how some routes answer."""
        chosen = set(routes)
        with self._lock:
            counts = [(status, n) for (route, _, status), n in self._requests.items() if route in chosen]
            times = sorted(seconds * 1e3 for route in chosen for seconds in self._recent.get(route, ()))
        return Answers(
            requests=sum(n for _, n in counts),
            errors=sum(n for status, n in counts if status >= _ERROR),
            recent=len(times),
            p50_ms=round(statistics.median(times), 2) if times else None,
            p95_ms=round(times[min(len(times) - 1, int(0.95 * len(times)))], 2) if times else None,
        )

    def as_text(self, gauges: Mapping[str, float], info: Mapping[str, str]) -> str:
        """Return everything counted, some figures of now, and the labels of what is served."""
        with self._lock:
            requests = sorted(self._requests.items())
            lines = [
                *_head("twinset_requests_total", "counter", "Requests answered."),
                *(
                    _line("twinset_requests_total", {"route": r, "method": m, "status": str(s)}, n)
                    for (r, m, s), n in requests
                ),
                *_head("twinset_errors_total", "counter", "Requests refused or failed."),
                *(
                    _line("twinset_errors_total", {"route": r, "status": str(s)}, n)
                    for (r, _, s), n in requests
                    if s >= _ERROR
                ),
                *_head("twinset_request_seconds", "histogram", "Seconds from the first byte to the answer."),
                *(line for route in sorted(self._seconds) for line in self._histogram(route)),
            ]
        for name, value in gauges.items():
            lines += [
                *_head(f"twinset_{name}", "gauge", name.replace("_", " ").capitalize() + "."),
                f"twinset_{name} {value:g}",
            ]
        lines += [*_head("twinset_model_info", "gauge", "What is served."), _line("twinset_model_info", info, 1)]
        return "\n".join(lines) + "\n"

    def _histogram(self, route: str) -> list[str]:
        name, count = "twinset_request_seconds", self._seconds[route]
        buckets = [
            _line(f"{name}_bucket", {"route": route, "le": f"{b:g}"}, self._buckets[route, b]) for b in BUCKETS_S
        ]
        return [
            *buckets,
            _line(f"{name}_bucket", {"route": route, "le": "+Inf"}, count),
            _line(f"{name}_sum", {"route": route}, self._taken[route]),
            _line(f"{name}_count", {"route": route}, count),
        ]


def resident_bytes() -> int:
    """Memory of this process that is in RAM, in bytes; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.is_file() else 0


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value:g}" if inside else f"{name} {value:g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
