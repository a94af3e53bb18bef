"""Rows of the log of questions, as an endpoint writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from backend.merchandising.questions.question import Question, wishes_as_json
from backend.retrieval.wishes import Wishes

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def row(number: int, time: datetime = NOON) -> Question:
    """Make a row up; the same every time."""
    rng = np.random.default_rng(number)
    return Question(
        time=time + timedelta(microseconds=number),
        question=f"{number:064x}",
        pictures=(f"{number:064x}",),
        embedding=rng.standard_normal(12).astype(np.float32),
        liked=1,
        unliked=0,
        is_strange=(True, False, None)[number % 3],
        k=8,
        filters='{"brand": ["Ada"]}',
        wishes=wishes_as_json(Wishes(like=("b001",))),
        rules_version=number or None,
        rules_digest="d" if number else None,
        rules_at=NOON if number else None,
        model="twinset",
        model_version=1,
        bundle="projection",
        network="n",
        generation=1,
        catalogue_version=4,
        product_ids=("b001", "c002"),
        similarities=(float(rng.random()), 0.1),
        has_match=None,
        milliseconds=3.5,
        caller="app",
    )
