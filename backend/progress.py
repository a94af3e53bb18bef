"""How long work tells what it has done, and learns that it should stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Progress(Protocol):
    """Where a use case reports to; absent a listener, pass ``NullProgress()``."""

    @property
    def job(self) -> str:
        """Id of the job that the work belongs to; empty where it runs on its own."""

    def report(self, done: float, total: float, *, unit: str = "", note: str = "") -> None:
        """Say that ``done`` of ``total`` units are done; ``note`` names the step under way."""

    def metric(self, name: str, value: float, *, step: int) -> None:
        """Add one point to the stream of metrics, e.g. ``("loss", 0.31, step=4)``."""

    def check_cancelled(self) -> None:
        """Raise ``Cancelled`` if the user asked to stop."""


class NullProgress:
    """A listener that hears nothing and never cancels."""

    job = ""

    def report(self, done: float, total: float, *, unit: str = "", note: str = "") -> None:
        """Ignore the report."""

    def metric(self, name: str, value: float, *, step: int) -> None:
        """Ignore the point."""

    def check_cancelled(self) -> None:
        """Never cancel."""


class Span:
    """One step's share of a longer piece of work, as a ``Progress`` of its own.

    A step that knows nothing of the others reports 0..total; the listener hears it as a part [start, stop] of 100 %.
    """

    def __init__(
        self, parent: Progress, start: float, stop: float, *, title: str = "", takes_notes: bool = True
    ) -> None:
        self._parent, self._start, self._stop, self._title = parent, start, stop, title
        self._takes_notes = takes_notes

    @property
    def job(self) -> str:
        """The parent's."""
        return self._parent.job

    def report(self, done: float, total: float, *, unit: str = "", note: str = "") -> None:
        """Report to the parent, scaled into this span; the step's own figures go into the note."""
        share = min(max(done / total, 0.0), 1.0) if total else 0.0
        at = self._start + share * (self._stop - self._start)
        figures = f"{done:,.0f} of {total:,.0f} {unit}" if unit not in {"", "%"} and total > 1 else ""
        parts = [part for part in (self._title, note if self._takes_notes else "", figures) if part]
        self._parent.report(round(at, 2), 100.0, unit="%", note=" · ".join(parts))

    def metric(self, name: str, value: float, *, step: int) -> None:
        """Pass the point on."""
        self._parent.metric(name, value, step=step)

    def check_cancelled(self) -> None:
        """Raise ``Cancelled`` if the parent was cancelled."""
        self._parent.check_cancelled()

    @classmethod
    def split(
        cls, parent: Progress, weights: Iterable[tuple[str, float]], *, takes_notes: bool = True
    ) -> Iterator[Self]:
        """Yield consecutive spans whose lengths are in proportion to their weights.

        Titles go in front of the steps' own notes, or in their place where they are not for whoever reads the progress.
        """
        steps = list(weights)
        total = sum(weight for _, weight in steps)
        start = 0.0
        for title, weight in steps:
            stop = start + 100.0 * weight / total
            yield cls(parent, start, stop, title=title, takes_notes=takes_notes)
            start = stop
