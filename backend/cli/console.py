"""Progress in a terminal: one bar on the error stream, so that the output stream stays clean for results."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqdm import tqdm

from backend.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_FORMAT = "{percentage:3.0f}% |{bar:24}| {n:,.0f}/{total:,.0f}{unit} {elapsed}<{remaining} {desc}"
STOPPED, _KEPT = "Stopped at your request.", "Everything already committed is kept."


class AboveTheBar(logging.Handler):
    """Writes a log to the error stream without breaking the bar that is drawn there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; the bar is redrawn below it."""
        tqdm.write(self.format(record), file=sys.stderr)


class ConsoleProgress:
    """A ``Progress`` that draws a bar, and is cancelled by Ctrl-C and by SIGTERM."""

    job = ""  # a command is none

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self.cancelled = False  # whether a signal came

    def report(self, done: float, total: float, *, unit: str = "", note: str = "") -> None:
        """Draw the bar again where total or unit changed, otherwise move it."""
        shown = f" {unit}" if unit else ""
        if self._bar is None or (self._bar.total, self._bar.unit) != (total, shown):
            self.close()
            self._bar = tqdm(total=total, unit=shown, bar_format=_FORMAT, file=sys.stderr, mininterval=0.3)
        self._bar.set_description_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def metric(self, name: str, value: float, *, step: int) -> None:
        """Write the point above the bar."""
        tqdm.write(f"  {name} = {value:.4f} (step {step})", file=sys.stderr)

    def check_cancelled(self) -> None:
        """Raise ``Cancelled`` after Ctrl-C or SIGTERM."""
        if self.cancelled:
            raise Cancelled(STOPPED, next_step=_KEPT)

    def close(self) -> None:
        """Leave the last bar on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    @contextmanager
    def cancelled_by_signals(self) -> Iterator[ConsoleProgress]:
        """Turn the first Ctrl-C or SIGTERM into a cancellation; a second one ends the process the hard way.

        Whatever fails after the first is the cancellation too: who sends SIGTERM may send it to child processes as well.

        Raises:
            Cancelled: It was cancelled.
        """

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            if self.cancelled:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                raise KeyboardInterrupt
            self.cancelled = True
            tqdm.write("Stopping … (press again to stop immediately)", file=sys.stderr)

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        except Exception as error:
            if self.cancelled and not isinstance(error, Cancelled):
                raise Cancelled(STOPPED, next_step=_KEPT) from error
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.close()


@contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """Send whatever libraries and the JVM print to the error stream, so that the result is alone on stdout."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
