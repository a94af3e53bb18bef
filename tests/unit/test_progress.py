"""Spans turn the progress of steps into the progress of the whole."""

from __future__ import annotations

import pytest

from backend.errors import Cancelled
from backend.progress import NullProgress, Span


class Heard:
    def __init__(self, *, cancelled: bool = False) -> None:
        self.reports, self.points, self.cancelled = [], [], cancelled

    def report(self, done, total, *, unit="", note=""):
        self.reports.append((done, total, unit, note))

    def metric(self, name, value, *, step):
        self.points.append((name, value, step))

    def check_cancelled(self):
        if self.cancelled:
            raise Cancelled("stop")


def test_spans_follow_each_other_in_proportion():
    heard = Heard()
    first, second = Span.split(heard, [("Ingest", 1), ("Train", 3)])
    first.report(5, 10, unit="rows")
    first.report(10, 10, unit="rows")
    second.report(1, 2, note="epoch 1")
    assert heard.reports == [
        (12.5, 100.0, "%", "Ingest · 5 of 10 rows"),
        (25.0, 100.0, "%", "Ingest · 10 of 10 rows"),
        (62.5, 100.0, "%", "Train · epoch 1"),
    ]


@pytest.mark.parametrize(("done", "total", "at"), [(3, 0, 0.0), (9, 3, 50.0), (-1, 3, 0.0)])
def test_a_span_stays_within_its_bounds(done, total, at):
    heard = Heard()
    next(Span.split(heard, [("", 1), ("", 1)])).report(done, total)
    assert heard.reports[0][0] == at


def test_metrics_and_cancellation_pass_through():
    heard = Heard(cancelled=True)
    span = next(Span.split(heard, [("", 1)]))
    span.metric("loss", 0.5, step=2)
    assert heard.points == [("loss", 0.5, 2)]
    with pytest.raises(Cancelled):
        span.check_cancelled()


def test_nobody_listening_is_fine():
    nobody = NullProgress()
    nobody.report(1, 2, unit="rows", note="x")
    nobody.metric("loss", 1.0, step=1)
    nobody.check_cancelled()
