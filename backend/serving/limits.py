"""How much one caller may ask: the size of a body, the time of an answer, requests a second, wrong tokens."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.errors import EndpointRejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.settings import Settings

_BURST_S = 2.0  # so many seconds' worth of requests may come at once
_FREE, _FIRST_S, _LONGEST_S = 10, 0.1, 2.0  # wrong tokens that nobody waits for, then twice as long each time
_FORGOTTEN_S = 600.0
_ADDRESSES, _AT_ONCE = 10_000, 8  # addresses that are remembered, and wrong tokens of one that are slowed at once
_IPV6_NETWORK = 64  # bits that a provider gives to one customer


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
    """The rate limit is exceeded; ``retry_after_s`` says when the next question is answered."""

    def __init__(
        self,
        retry_after_s: float,
        *,
        message: str = "Rate limit exceeded for this token.",
        then: str = "and ask with several pictures at once",
    ) -> None:
        self.retry_after_s = max(1, math.ceil(retry_after_s))
        step = f"Try again in {self.retry_after_s} s, {then}."
        super().__init__(message, code="too_fast", status=429, next_step=step)


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


class WrongTokens:
    """Slows down who sends wrong tokens: after the first few, each is refused later than the one before.

    Only refusals wait, and they hold nothing but their connection: a right token from the same address is answered as
    ever. An address is forgotten after ten minutes without a wrong token, or for another where too many are known.

    Args:
        clock: Seconds that only ever grow.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()  # by address: how many, and when the last came
        self._slowed: Counter[str] = Counter()

    async def slow(self, address: str) -> None:
        """Wait as long as another wrong token from an address has to.

        Raises:
            TooFast: So many from there wait already that this one is not even kept waiting.
        """
        network = _network(address)
        seconds = self.note(network)
        if not seconds:
            return
        if self._slowed[network] >= _AT_ONCE:
            raise TooFast(
                _LONGEST_S, message="Too many wrong tokens come from this address.", then="with the right one"
            )
        self._slowed[network] += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._slowed[network] -= 1
            if not self._slowed[network]:
                del self._slowed[network]

    def note(self, network: str) -> float:
        """Count a wrong token; returns the seconds that it has to wait."""
        now = self._clock()
        count, then = self._seen.pop(network, (0, now))
        count = 1 if now - then > _FORGOTTEN_S else count + 1
        self._seen[network] = (count, now)
        if len(self._seen) > _ADDRESSES:
            self._seen.popitem(last=False)
        return 0.0 if count <= _FREE else min(_LONGEST_S, _FIRST_S * 2.0 ** min(count - _FREE - 1, _FREE))


def _network(address: str) -> str:
    """Return what one customer of a provider has: an IPv4 address, or a whole network of IPv6 addresses."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address.partition("%")[0], _IPV6_NETWORK), strict=False))
