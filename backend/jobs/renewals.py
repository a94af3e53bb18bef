"""Catalogues that are loaded again by themselves: whoever keeps the servers running starts a job for each that is due."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from backend.errors import WorkbenchError
from backend.flow.current.renew import all_remembered, update
from backend.flow.requests import RenewRequest
from backend.jobs.runner import JobRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.settings import Settings

LOOK_EVERY_S = 60.0
logger = logging.getLogger(__name__)


class Renewals:
    """Starts what is due; asked again and again, it looks once a minute.

    Args:
        settings: Of the home.
        now: Seconds since the epoch.
    """

    def __init__(self, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._settings, self._now = settings, now
        self._looked = float("-inf")

    def look(self) -> list[str]:
        """Start a job for every catalogue that is due, and return their names; an error ends nothing."""
        now = self._now()
        if now - self._looked < LOOK_EVERY_S:
            return []
        self._looked = now
        try:
            return self._start(now)
        except WorkbenchError as error:
            logger.warning("No catalogue is loaded again for now: %s", error)
            return []

    def _start(self, now: float) -> list[str]:
        started = []
        for name, kept in all_remembered(self._settings):
            if kept.due_at is not None and kept.due_at <= now:
                # Noted before: one that cannot be loaded is tried again when it is next due, not every minute.
                update(self._settings, name, kept, replace(kept, renewed_at=now))
                JobRunner(self._settings).submit(RenewRequest(name))
                started.append(name)
        return started
