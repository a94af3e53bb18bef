"""Train on the ranks of Horovod, one Spark task each: the use case behind ``train --workers N``.

The driver checks, launches, follows and writes the bundle; it never holds a picture. Ranks read the catalogue's version
and write checkpoints by themselves, so that catalogues and models must be where all machines see them.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError

from backend import errors
from backend.errors import ConfigurationError, EnvironmentUnready, TrainingError, WorkbenchError
from backend.feeding.shards import shard_plan
from backend.spark.cluster import is_local, patience, slots, starts_on_demand, wait_for_slots
from backend.spark.session import zip_backend
from backend.training.cards import look_at_cards
from backend.training.checkpoints import Checkpoints, EpochResult
from backend.training.config import validate
from backend.training.data import TRAIN, check_catalogue
from backend.training.package import describe, write_bundle
from backend.training.preparation import check_name, tracked
from backend.training.ranks.horovod_launch import launch
from backend.training.ranks.preflight import too_few_cards, unsynchronisable
from backend.training.ranks.proof import RankReport, RunProof, prove
from backend.training.ranks.rank_folder import RankFolder, RankState
from backend.training.ranks.ranks import RankOrder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from backend.bundles.bundle import Manifest
    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress
    from backend.training.config import TrainConfig
    from backend.training.preparation import ModelPlace, Workers
    from backend.training.tracking import Tracker

logger = logging.getLogger(__name__)
PROOF = "proof.json"
_LOOK_EVERY_S = 0.25
_LOST_PEER = "HorovodInternalError"
_ENDED_BY_THEMSELVES_S, _STOPPED_WITHIN_S = 2.0, 6.0


def train_on_spark(
    spark: SparkSession,
    snapshot: Snapshot,
    config: TrainConfig,
    *,
    place: ModelPlace,
    tracker: Tracker,
    progress: Progress,
    workers: Workers,
) -> tuple[Manifest, RunProof]:
    """Train a network on several ranks and write the bundle of its best epoch.

    Each rank draws batches of P x K pictures from its own shard; the loss compares the pictures of all ranks together.
    Beside what :func:`backend.training.fit.train` says, the proof of the run is written into the bundle.

    Args:
        spark: The session whose tasks become ranks.
        snapshot: The catalogue version to train on.
        config: What to train; batches are those of one rank.
        place: Where the bundle goes, and whether to go on from a checkpoint, with as many workers as before.
        tracker: Keeps the record of the run.
        progress: Hears rank 0; may cancel.
        workers: Who trains together.

    Raises:
        ConfigurationError: As there; also too few slots, too few products for so many ranks, or a network whose batch
            statistics cannot be synchronised.
        EnvironmentUnready: Horovod or a GPU is not there.
        TrainingError: A rank failed or was killed; the message has its last lines.
        StorageFull, Cancelled: As there.
    """
    validate(config)
    check_name(place)
    resolved = check_catalogue(snapshot, config)
    _check_workers(spark, config, workers, progress)
    plan = shard_plan(snapshot, TRAIN, workers.count, seed=config.seed, classes=resolved.classes)
    Checkpoints(place.checkpoints, resume=place.resume)
    folder = RankFolder(place.checkpoints.absolute() / "ranks")
    folder.begin(asdict(_order(snapshot, config, place, workers)))
    with tracked(tracker, snapshot, resolved, place, config, workers=workers.count) as run_id:
        run = _Run(folder, workers.count, tracker, progress, spark)
        results = run.results()
        best = EpochResult(**results[0]["best"])
        reports = [_report(result) for result in results]
        proof = prove(plan, reports, first_step_s=run.first_step_s, reader=config.reader)
        notes = tuple(dict.fromkeys(note for result in results for note in result["notes"]))
        resolved = replace(resolved, notes=notes, left_out=sum(result["left_out"] for result in results))
        threads = int(results[0]["threads"])
        manifest = describe(place.name, resolved, best, catalogue=snapshot.ref, run_id=run_id, threads=threads)
        arrays = Checkpoints(place.checkpoints, resume=True).load(best.epoch)
        extras = {PROOF: json.dumps(proof.as_dict(), indent=2).encode()}
        return write_bundle(place.bundle, replace(manifest, origin=place.origin), arrays, extras), proof


def _order(snapshot: Snapshot, config: TrainConfig, place: ModelPlace, workers: Workers) -> RankOrder:
    return RankOrder(
        catalogues_dir=str(snapshot.catalogues_dir.absolute()),
        catalogue=snapshot.name,
        version=snapshot.version,
        config=config.as_dict(),
        checkpoints=str(place.checkpoints.absolute()),
        threads=workers.threads,
        device=workers.device,
        log_level=workers.log_level,
        cache=place.cache.as_dict() if place.cache else {},
    )


def _check_workers(spark: SparkSession, config: TrainConfig, workers: Workers, progress: Progress) -> None:
    if workers.count < 1:
        raise ConfigurationError(f"{workers.count} workers were requested.", next_step="Use 1 worker or more.")
    if not starts_on_demand(spark):
        found = wait_for_slots(spark, workers.count, progress)
        if found < workers.count:
            raise _too_few_slots(spark, workers.count, found)
    cards = look_at_cards().usable if workers.device != "cpu" and is_local(spark.sparkContext.master) else 0
    if 0 < cards < workers.count:
        raise too_few_cards(workers.count, cards)
    if problem := unsynchronisable(config):
        raise problem


def _too_few_slots(spark: SparkSession, workers: int, found: int) -> ConfigurationError:
    return ConfigurationError(
        f"{workers} workers were requested, but Spark on {spark.sparkContext.master} has {found} slots.",
        next_step="Use a larger Spark master or start more Spark workers; a training must be resumed with the number "
        "of workers it started with.",
    )


def _report(result: dict[str, Any]) -> RankReport:
    beside = {"best", "notes", "threads", "left_out"}
    return RankReport(**{name: value for name, value in result.items() if name not in beside})


@dataclass
class _Run:
    """One launch, followed until it ends."""

    folder: RankFolder
    ranks: int
    tracker: Tracker
    progress: Progress
    spark: SparkSession | None = None
    first_step_s: float = field(default=0.0, init=False)
    _offset: int = field(default=0, init=False)
    _short_since: float | None = field(default=None, init=False)

    def results(self) -> list[dict[str, Any]]:
        """Launch the ranks, tell what they tell, and return what they return, in their order."""
        archive = zip_backend(self.folder.path)
        stop, started = threading.Event(), time.monotonic()
        self.progress.report(0, 1, note=f"starting {self.ranks} workers")
        here = self.spark is not None and is_local(self.spark.sparkContext.master)
        running = launch(archive, self.folder.path, self.ranks, stop, on_loopback=here)
        try:
            while not running.wait(_LOOK_EVERY_S):
                self._tell(started)
                self.progress.check_cancelled()
                self._end_with_a_failed_rank(stop)
                self._end_without_slots()
            self._tell(started)
        except BaseException:
            self._stop(stop)
            if not running.wait(_ENDED_BY_THEMSELVES_S):
                self._end_tasks()
                running.wait(_STOPPED_WITHIN_S)
            raise
        if running.error is not None:
            self.progress.check_cancelled()
            raise self._failure(running.error) from running.error
        return running.results

    def _stop(self, stop: threading.Event) -> None:
        self.folder.ask_to_stop()
        stop.set()

    def _end_with_a_failed_rank(self, stop: threading.Event) -> None:
        """Where one rank failed, the others would wait for it."""
        if any(state.phase == "failed" for state in self.folder.states(self.ranks)):
            self._stop(stop)

    def _end_without_slots(self) -> None:
        """Ranks that wait for a slot would wait for minutes; who took it, or that a worker left, shows in the number.

        Raises:
            ConfigurationError: For longer than Spark's patience there have been fewer slots than ranks.
        """
        has_begun = all(state.host for state in self.folder.states(self.ranks))
        if self.spark is None or has_begun or (found := slots(self.spark)) >= self.ranks:
            self._short_since = None
            return
        now = time.monotonic()
        self._short_since = self._short_since or now
        self.progress.report(0, 1, note=f"waiting for Spark: {found} of {self.ranks} slots")
        if now - self._short_since >= patience(self.spark):
            raise _too_few_slots(self.spark, self.ranks, found)

    def _end_tasks(self) -> None:
        """Have Spark give up the tasks of ranks, which a cluster would start again."""
        if self.spark is not None:
            with suppress(Py4JError, OSError):  # a JVM that is gone has none
                self.spark.sparkContext.cancelAllJobs()

    def _tell(self, started: float) -> None:
        state = self.folder.states(1)[0]
        if state.total:
            self.progress.report(state.done, state.total, unit=state.unit, note=state.note)
        if state.unit == "steps" and not self.first_step_s:
            self.first_step_s = time.monotonic() - started
        events, self._offset = self.folder.events(self._offset)
        for event in events:
            if event["kind"] == "metric":
                self.progress.metric(event["name"], event["value"], step=event["step"])
            else:
                self.tracker.log(event["metrics"], step=event["step"])
                logger.info("epoch %d: %s", event["step"], event["metrics"])

    def _failure(self, error: BaseException) -> WorkbenchError:
        """Say which rank was the first to go, and why."""
        states = self.folder.states(self.ranks)
        failures = [state for state in states if state.error and hasattr(errors, state.error)]
        if failures:
            return _as_error(failures[0])
        silent = [state for state in states if state.phase == "working"]
        # Where a rank is gone, the others fail in Horovod; what failed otherwise came first.
        broken = sorted((s for s in states if s.phase == "failed"), key=lambda state: state.error == _LOST_PEER)
        if not silent and not broken:
            return EnvironmentUnready(
                f"Horovod could not run on Spark: {error}", next_step="See the job's log and run `make doctor`."
            )
        first = (silent or broken)[0]
        how = "was killed or crashed" if silent else f"failed with {first.error}: {first.message.splitlines()[0]}"
        on = f" on {first.host}" if first.host else ""
        at = f" at step {first.done:g} of {first.total:g}" if first.unit == "steps" else ""
        return TrainingError(
            f"Rank {first.rank} of {self.ranks}{on} {how}{at}.{self._last_words(first.rank)}",
            next_step="Resume the training; it continues from its last checkpoint."
            if any(self.folder.path.parent.glob("state-*.npz"))
            else "Start the training again; it had no checkpoint to resume from yet.",
        )

    def _last_words(self, rank: int) -> str:
        lines = self.folder.last_lines(rank)
        return f"\nIts last lines:\n{lines}" if lines else ""


def _as_error(state: RankState) -> WorkbenchError:
    kind = getattr(errors, state.error)
    on = f" on {state.host}" if state.host else ""
    error: WorkbenchError = kind(f"Rank {state.rank}{on}: {state.message}", next_step=state.next_step)
    return error
