"""The two clocks of a job, in one value that tests can replace."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is, and how much time has passed.

    Attributes:
        now: Seconds since the epoch, UTC; what people read.
        tick: Seconds since the machine started, the same for all its processes. It is still while the machine
            sleeps and ignores corrections of the wall clock, so that neither makes a healthy job look silent.
    """

    now: Callable[[], float] = time.time
    tick: Callable[[], float] = time.monotonic
