"""How fast work goes and how long it will still take, from its own reports. Pure."""

from __future__ import annotations

from collections import deque

WINDOW_S = 30.0
MIN_POINTS = 4  # slow work reports more rarely than the window is long
RESOLUTION_S = 0.25  # work that reports a thousand times a second needs no thousand points


class Pace:
    """The average rate over the recent past, so that a slow start does not spoil the forecast for ever."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()  # (time in s, units done), oldest first
        self._scale: tuple[float, str] = (0.0, "")

    def report(self, at: float, done: float, total: float, *, unit: str = "") -> None:
        """Take note that ``done`` of ``total`` units were done at the time ``at`` (s, any origin).

        Another total or unit, or less done than before, is another step: what was learnt before does not hold for it.
        """
        if self._scale != (total, unit) or (self._points and done < self._points[-1][1]):
            self._points.clear()
            self._scale = (total, unit)
        # The first point is kept as it is; the newest one moves until it is far enough from the one before.
        if len(self._points) > 1 and self._points[-1][0] - self._points[-2][0] < RESOLUTION_S:
            self._points.pop()
        self._points.append((at, done))
        while len(self._points) > MIN_POINTS and self._points[0][0] < at - WINDOW_S:
            self._points.popleft()

    @property
    def rate(self) -> float | None:
        """Units a second, or None while there is nothing to tell it from."""
        if not self._points:
            return None
        (start, first), (stop, last) = self._points[0], self._points[-1]
        return (last - first) / (stop - start) if stop > start else None

    @property
    def remaining_s(self) -> float | None:
        """Seconds from the last report to the end at the present rate, or None while that is unknown."""
        rate, total = self.rate, self._scale[0]
        if not rate or total <= 0:
            return None
        return max(total - self._points[-1][1], 0.0) / rate
