"""Waiting for what another process or thread does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
LONG_S = 240.0  # a busy machine starts Spark and TensorFlow slowly


def until(condition: Callable[[], T], timeout_s: float = LONG_S, *, look_every_s: float = 0.05) -> T:
    """Return what ``condition`` does as soon as that is true."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(look_every_s)
    return value
