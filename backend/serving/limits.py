"""How much one caller may ask: the size of a body, the time of an answer, requests a second."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.errors import EndpointRejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.settings import Settings

_BURST_S = 2.0  # so many seconds' worth of requests may come at once


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request, and of one token.

    Attributes:
        body_bytes: Largest body.
        answer_s: Seconds that the endpoint works on one request.
        per_second: Requests a second of one token; 0 means no limit.
    """

    body_bytes: int
    answer_s: float
    per_second: float

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return the limits that the settings name."""
        return cls(settings.max_upload_bytes, settings.endpoint_answer_s, settings.endpoint_rate)


class TooFast(EndpointRejected):
    """A token asks more often than it may; ``retry_after_s`` says when the next question is answered."""

    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_s = max(1, math.ceil(retry_after_s))
        super().__init__(
            "This token asks more often than it may.",
            code="too_fast",
            status=429,
            next_step=f"Try again in {self.retry_after_s} s, and ask with several pictures at once.",
        )


class Pace:
    """Lets every name ask so many times a second, in bursts of twice as many (a token bucket).

    Args:
        per_second: Requests a second; 0 means no limit.
        clock: Seconds that only ever grow.
    """

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = per_second, clock
        self._burst = max(per_second * _BURST_S, 1.0)
        self._left: dict[str, tuple[float, float]] = {}  # by name: requests left, and when that was so

    def admit(self, name: str) -> None:
        """Count one request.

        Raises:
            TooFast: There were too many; this one is not counted.
        """
        if not self._rate:
            return
        now = self._clock()
        left, then = self._left.get(name, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        if left < 1:
            self._left[name] = (left, now)
            raise TooFast((1 - left) / self._rate)
        self._left[name] = (left - 1, now)
