"""Spark actions of one use case on one progress bar: each has its stretch of it, all can be cancelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from backend.spark.jobs import run_watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from backend.progress import Progress

T = TypeVar("T")


@dataclass
class Watch:
    """Runs actions and reports them as ``total`` units of work.

    Attributes:
        tasks: Tasks of the stages that count; smaller stages beside them move nothing.
    """

    spark: SparkSession
    progress: Progress
    total: int = 1
    unit: str = "products"
    tasks: int = 1

    def run(self, action: Callable[[], T], start: float, stop: float, title: str) -> T:
        """Run an action that takes the work from share ``start`` to share ``stop``.

        Raises:
            Cancelled: The user asked to stop, and all jobs of the action have ended.
        """

        def on_share(share: float) -> None:
            done = int(self.total * (start + share * (stop - start)))
            self.progress.report(done, self.total, unit=self.unit, note=title)

        self.progress.check_cancelled()  # the action before this one may have ended faster than it was looked at
        on_share(0.0)
        return run_watched(self.spark, action, tasks=self.tasks, on_share=on_share, progress=self.progress)
