"""Who runs the trials of a sweep: Spark tasks, or this process, one trial after the other."""

from __future__ import annotations

import logging
import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.errors import ConfigurationError
from backend.spark.cluster import is_local, slots, starts_on_demand, unanswered, wait_for_slots
from backend.training.cards import look_at_cards
from backend.tuning import search
from backend.tuning.plan import MOST_AT_A_TIME
from backend.tuning.worker_reuse import ReusingSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from backend.progress import Progress
    from backend.tuning.ports import TrialEngine
    from backend.tuning.records import TrialRecord
    from backend.tuning.search import Suggestions
    from backend.tuning.task import TrialTask

logger = logging.getLogger(__name__)
WITHOUT_EXECUTORS_S = 60.0  # how long a cluster may have none before it counts as gone
_KNOCK_EVERY_S, _KNOCK_S, _WITHOUT_MASTER_S = 2.0, 2.0, 8.0  # a master that starts anew takes its applications back


class SerialEngine:
    """Runs trials in this process; no Spark takes part."""

    slots = 1
    where = "this process"

    def wait_for_slots(self, wanted: int, progress: Progress) -> int:  # noqa: ARG002 - there is nothing to wait for
        """One: this process."""
        return self.slots

    def search(
        self,
        task: TrialTask,
        suggestions: Suggestions,
        records: list[TrialRecord],
        *,
        parallelism: int,  # noqa: ARG002 - always 1
    ) -> None:
        """Run trials; see :class:`backend.tuning.ports.TrialEngine`."""
        from hyperopt import Trials

        search.minimise(task, suggestions, search.filled(Trials(), suggestions.plan, records))

    def lost(self) -> list[int]:
        """None: they die with this process."""
        return []

    def trouble(self) -> str:
        """Nothing: it is this process."""
        return ""

    def end(self) -> None:
        """Do nothing: trials listen to the folder."""


@dataclass
class _Lasting:
    """How long something has been so."""

    since: float | None = None

    def is_for(self, seconds: float, *, now_so: bool) -> bool:
        """Whether it has been so, each time it was looked at, for that long."""
        now = time.monotonic()
        self.since = (now if self.since is None else self.since) if now_so else None
        return self.since is not None and now - self.since >= seconds


@dataclass
class SparkEngine:
    """Runs each trial in a task of a Spark session.

    Attributes:
        spark: The session.
        device: What trials compute on.
        patience_s: How long a cluster may be without executors, and a trial may wait although there is a slot.
    """

    spark: SparkSession
    device: str = "auto"
    patience_s: float = WITHOUT_EXECUTORS_S
    _trials: Any = field(default=None, init=False)
    _alone: _Lasting = field(default_factory=_Lasting, init=False)
    _idle: _Lasting = field(default_factory=_Lasting, init=False)
    _silent: _Lasting = field(default_factory=_Lasting, init=False)
    _knocked_at: float = field(default=-_KNOCK_EVERY_S, init=False)
    _is_silent: bool = field(default=False, init=False)

    @property
    def slots(self) -> int:
        """Task slots; on one machine with cards no more than TensorFlow can use of these."""
        found = slots(self.spark)
        cards = look_at_cards().usable if self.device != "cpu" and self._is_local else 0
        return max(min(found, cards) if cards else found, 1)

    @property
    def where(self) -> str:
        """The master."""
        return f"Spark on {self.spark.sparkContext.master}"

    def wait_for_slots(self, wanted: int, progress: Progress) -> int:
        """Wait for executors that are still to come; those that come with the work are taken at their word."""
        if starts_on_demand(self.spark):
            return max(wanted, self.slots)
        wait_for_slots(self.spark, wanted, progress)
        return self.slots

    def search(
        self, task: TrialTask, suggestions: Suggestions, records: list[TrialRecord], *, parallelism: int
    ) -> None:
        """Run trials; see :class:`backend.tuning.ports.TrialEngine`."""
        from hyperopt import SparkTrials

        # In Hyperopt's own thread, which would die of it where warnings are errors, and the sweep would wait for ever.
        warnings.filterwarnings("ignore", message="Spark session is not provided", category=UserWarning)
        trials = SparkTrials(parallelism=parallelism, spark_session=ReusingSession(self.spark))
        self._trials = search.filled(trials, suggestions.plan, records)
        search.minimise(task, suggestions, self._trials)

    def lost(self) -> list[int]:
        """Return the numbers of trials that Spark gave up: their process died, or the cluster did."""
        from hyperopt import base

        docs = self._trials._dynamic_trials if self._trials is not None else []  # noqa: SLF001 - failed ones are only there
        return [doc["tid"] + 1 for doc in list(docs) if doc["state"] == base.JOB_STATE_ERROR]

    def trouble(self) -> str:
        """Say that the session has stopped or its JVM is dead, and what has not happened for longer than the patience."""
        executors, gone = self._executors(), f"{self.where} became unavailable during the sweep"
        if executors is None:
            return gone
        if self._silent.is_for(_WITHOUT_MASTER_S, now_so=self._is_master_silent()):
            return gone
        if self._alone.is_for(self.patience_s, now_so=not executors and not self._is_local):
            return gone
        if self._idle.is_for(self.patience_s, now_so=self._has_work_and_slots()):
            return "Hyperopt starts no more trials although there are free slots"
        return ""

    def end(self) -> None:
        """Have Spark end all tasks of the sweep."""
        from py4j.protocol import Py4JError

        if self._trials is None:
            return
        self._trials._fmin_cancelled = True  # noqa: SLF001 - what Hyperopt looks at
        try:
            self.spark.sparkContext.cancelAllJobs()
        except (Py4JError, OSError) as error:
            logger.info("Spark could not be told to end the trials: %s", type(error).__name__)

    def _has_work_and_slots(self) -> bool:
        """Whether a trial waits that could run: the thread that starts trials is gone, if that stays so."""
        from hyperopt import base

        if self._trials is None:
            return False
        states = [doc["state"] for doc in list(self._trials._dynamic_trials)]  # noqa: SLF001 - as above
        is_free = states.count(base.JOB_STATE_RUNNING) < self._trials.parallelism
        return base.JOB_STATE_NEW in states and is_free

    def _is_master_silent(self) -> bool:
        """Whether nobody answers at the master's address; asked now and then."""
        now = time.monotonic()
        if now - self._knocked_at >= _KNOCK_EVERY_S:
            self._knocked_at = now
            self._is_silent = bool(unanswered(self.spark.sparkContext.master, within_s=_KNOCK_S))
        return self._is_silent

    @property
    def _is_local(self) -> bool:
        return is_local(self.spark.sparkContext.master)

    def _executors(self) -> int | None:
        """Count the executors; None where there is no session any more."""
        from py4j.protocol import Py4JError

        context: Any = self.spark.sparkContext
        if context._jsc is None:  # noqa: SLF001 - stopped in this process
            return None
        try:
            scala = context._jsc.sc()  # noqa: SLF001 - PySpark does not tell
            if scala.isStopped():
                return None
            return int(scala.getExecutorMemoryStatus().size()) - 1  # the driver counts itself
        except (Py4JError, OSError):
            return None


def parallelism_of(asked: int, engine: TrialEngine, progress: Progress) -> int:
    """Return how many trials run at a time; 0 asks for as many as can.

    Raises:
        ConfigurationError: More were asked for than there are slots.
    """
    found = engine.wait_for_slots(asked, progress)
    if asked > found:
        raise ConfigurationError(
            f"{asked} trials at a time were requested, but {engine.where} has {found} slots.",
            next_step=f"Use a parallelism of 1 to {found}, or a larger Spark master.",
        )
    return asked or min(found, MOST_AT_A_TIME)


def shipped_bytes(task: TrialTask, dumps: Callable[[Any], bytes], suggestions: Suggestions) -> int:
    """Return the size of what travels with every trial: the task, the space, and a point of it."""
    point = {**suggestions.plan.space.dimensions, "number": 1}
    return len(dumps((task, search.search_space(suggestions.plan.space), point)))
