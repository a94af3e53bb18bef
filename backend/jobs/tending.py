"""What has to happen although nobody looks: queued jobs get their turn, what is due is started, and alerts are sent."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from backend.errors import WorkbenchError
from backend.jobs.alerts.watch import Alerts
from backend.jobs.renewals import Renewals
from backend.jobs.runner import JobRunner
from backend.jobs.schedules import Schedules

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.settings import Settings

LOOK_EVERY_S = 1.0
logger = logging.getLogger(__name__)


class Tending:
    """Looks after the jobs of a home; called again and again by whoever keeps the servers running.

    Args:
        settings: Of the home.
        tick: Seconds since some moment.
    """

    def __init__(self, settings: Settings, *, tick: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._tick = settings, tick
        self._looked = float("-inf")
        self._renewals, self._schedules = Renewals(settings), Schedules(settings)
        self._alerts = Alerts(settings)

    def look(self) -> None:
        """Look, at most once a second; an error ends nothing."""
        if self._tick() - self._looked < LOOK_EVERY_S:
            return
        self._looked = self._tick()
        self._renewals.look()
        try:
            self._schedules.look()
            JobRunner(self._settings)
        except WorkbenchError as error:
            logger.warning("No job is started for now: %s", error)
        self._alerts.look()
