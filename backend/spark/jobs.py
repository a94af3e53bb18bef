"""Run a Spark action so that it can be watched and cancelled."""

from __future__ import annotations

from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from backend.access.logs import of_process
from backend.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from backend.progress import Progress

T = TypeVar("T")
_LOOK_EVERY_S = 0.25


def run_watched(
    spark: SparkSession, action: Callable[[], T], *, tasks: int, on_share: Callable[[float], None], progress: Progress
) -> T:
    """Run ``action`` in a thread of its own; say how far it is, and end its jobs when the user cancels.

    An action that was done before its jobs could be ended counts as done: what is committed is committed.

    Args:
        spark: The session that the action uses.
        action: What to do; all Spark jobs that it starts are watched.
        tasks: Tasks of the stage that does the work; smaller stages beside it are not counted.
        on_share: Told the share of that stage that is done, in [0, 1], growing.
        progress: Asked whether to stop.

    Raises:
        Cancelled: The user asked to stop, and all jobs of the action have ended.
    """
    from pyspark import InheritableThread

    group = f"twinset-{uuid4().hex}"
    outcome: Future[T] = Future()

    def work() -> None:
        ids = of_process().ids()
        told = ", ".join(f"{name} {found}" for name, found in ids.items())
        spark.sparkContext.setJobGroup(group, f"Twinset {told}".strip(), interruptOnCancel=True)
        for name, found in ids.items():  # for executors whose own log prints %X{mdc.job} and %X{mdc.request}
            spark.sparkContext.setLocalProperty(f"mdc.{name}", found)
        try:
            outcome.set_result(action())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            outcome.set_exception(error)

    thread = InheritableThread(target=work, name=group, daemon=True)
    thread.start()
    try:
        _watch(spark, group, outcome, tasks, on_share, progress)
    except BaseException as error:
        _end(spark, group, outcome)
        if not isinstance(error, Cancelled) or outcome.exception() is not None:
            raise
    finally:
        thread.join()
    return outcome.result()


def _watch(
    spark: SparkSession,
    group: str,
    outcome: Future[Any],
    tasks: int,
    on_share: Callable[[float], None],
    progress: Progress,
) -> None:
    share = 0.0
    while not wait([outcome], timeout=_LOOK_EVERY_S).done:
        progress.check_cancelled()
        share = max(share, _share_done(spark, group, tasks))
        on_share(share)


def _end(spark: SparkSession, group: str, outcome: Future[Any]) -> None:
    """End the group's jobs, and those that the action starts before it notices."""
    from py4j.protocol import Py4JError

    while not outcome.done():
        try:
            spark.sparkContext.cancelJobGroup(group)
        except (Py4JError, OSError):
            break  # the JVM is gone, and its jobs with it
        wait([outcome], timeout=_LOOK_EVERY_S)
    wait([outcome])


def _share_done(spark: SparkSession, group: str, tasks: int) -> float:
    tracker = spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
    stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
    shares = [stage.numCompletedTasks / stage.numTasks for stage in stages if stage and stage.numTasks >= tasks]
    return max(shares, default=0.0)
