"""What runs on one rank of a distributed training; started by Horovod in a process of its own."""

from __future__ import annotations

import faulthandler
import logging
import os
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.access.logs import log_lines
from backend.catalogue.snapshot import open_snapshot
from backend.errors import EnvironmentUnready, WorkbenchError
from backend.feeding.content_cache import CacheFolder
from backend.files.niceness import keep_yielding
from backend.files.scratch import own_folder
from backend.spark.cluster import name_remedy, own_name_trouble
from backend.training.checkpoints import Checkpoints, EpochResults
from backend.training.config import TrainConfig
from backend.training.data import prepare_data
from backend.training.epochs import run_epochs
from backend.training.provenance import threads_of
from backend.training.ranks.communicator import HorovodRanks
from backend.training.ranks.preflight import too_few_cards
from backend.training.ranks.proof import RankReport, are_equal, ids_hash
from backend.training.ranks.rank_folder import RankFolder, RankProgress, RankState
from backend.training.runtime import loaded, prepare_training
from backend.training.trainer import Trainer

if TYPE_CHECKING:
    from backend.training.checkpoints import Arrays, EpochResult
    from backend.training.data import TrainingData

logger = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.5
_CYCLE_MS = "0.2"  # between two looks of Horovod for messages; one millisecond where nobody says
_STOPPED = 3  # exit status of a rank that was asked to end


@dataclass(frozen=True, slots=True)
class RankOrder:
    """What every rank is to train; travels as JSON.

    Attributes:
        catalogues_dir, catalogue, version: Where the products are.
        config: The training configuration.
        checkpoints: Folder of the checkpoints; rank 0 writes there.
        threads: Threads for one operation on each rank; 0 means this machine's cores, shared among its ranks.
        device: What each rank computes on.
        log_level: Of the rank's log.
        cache: What :meth:`backend.feeding.content_cache.CacheFolder.as_dict` returns; empty: there is none.
    """

    catalogues_dir: str
    catalogue: str
    version: int
    config: dict[str, Any]
    checkpoints: str
    threads: int
    device: Any
    log_level: str = "INFO"
    cache: dict[str, Any] = field(default_factory=dict)


def run_rank(folder: str) -> dict[str, Any]:
    """Train this rank's part and return its :class:`RankReport`, as JSON values, and what rank 0 alone knows.

    Args:
        folder: The folder that :class:`RankFolder` describes.

    Every error is written to the folder before it ends the process.
    """
    place, rank = RankFolder(Path(folder)), int(os.environ["HOROVOD_RANK"])
    order = RankOrder(**place.order())
    _log_to(place.log(rank), order.log_level)
    keep_yielding()  # Horovod gives each rank a session of its own
    place.write_state(RankState(rank, host=socket.gethostname(), pid=os.getpid()))
    _end_when_asked(place, rank)
    try:
        report = _trained(order, place, rank)
    except BaseException as error:
        logger.exception("rank %d ends", rank)
        place.write_state(_failed(place.state(rank), error))
        raise
    state = place.state(rank)
    place.write_state(replace(state, phase="done", done=state.total))
    return report


def _failed(state: RankState, error: BaseException) -> RankState:
    message = error.message if isinstance(error, WorkbenchError) else str(error)[:2000]
    next_step = error.next_step if isinstance(error, WorkbenchError) else ""
    return replace(state, phase="failed", error=type(error).__name__, message=message, next_step=next_step)


def _trained(order: RankOrder, place: RankFolder, rank: int) -> dict[str, Any]:
    # Before Horovod starts threads, which keep to the cores that there are at that moment.
    local_rank, local_size = (int(os.environ[f"HOROVOD_LOCAL_{what}"]) for what in ("RANK", "SIZE"))
    cores = _own_cores(local_rank, local_size)
    progress, config = RankProgress(place, rank), TrainConfig.from_dict(order.config)
    progress.report(0, 1, note="starting TensorFlow")
    own_card = partial(_own_card, local_rank, local_size)
    tf = prepare_training(config, threads=order.threads or cores, device=order.device, place=own_card)
    hvd = _horovod()
    ranks = HorovodRanks(hvd, tf)
    snapshot = open_snapshot(Path(order.catalogues_dir), order.catalogue, order.version)
    cache = CacheFolder.from_dict(order.cache) if order.cache else None
    with own_folder("rank") as pixels:
        data = prepare_data(snapshot, config, pixels, progress=progress, rank=ranks.rank, ranks=ranks.size, cache=cache)
        trainer = Trainer(data.resolved.config, len(data.resolved.classes), data.feed, tf, ranks)
        earlier = Checkpoints(Path(order.checkpoints), resume=True)  # none are there unless it is resumed
        if earlier.done:
            trainer.restore(earlier.state(), epochs=earlier.done)
        results = _Compared(ranks, earlier)
        run_epochs(trainer, data, results, listener=progress.epoch, progress=progress, ranks=ranks)
        report = _report(data, trainer, results, ranks, bool(tf.config.get_visible_devices("GPU")))
    hvd.shutdown()
    more = {"best": asdict(results.best), "notes": list(data.resolved.notes), "threads": threads_of(tf)}
    return {**asdict(report), **more, "left_out": data.resolved.left_out}


def _report(
    data: TrainingData,
    trainer: Trainer,
    results: _Compared,
    ranks: HorovodRanks,
    has_gpu: bool,  # noqa: FBT001
) -> RankReport:
    return RankReport(
        rank=ranks.rank,
        host=socket.gethostname(),
        device="gpu" if has_gpu else "cpu",
        ids_hash=ids_hash([*data.train.product_ids.tolist(), *data.train.unreadable]),
        classes=len(set(data.train.labels.tolist())),
        examples=data.resolved.config.batch_size,
        examples_per_second=trainer.speed.examples_per_second,
        waiting_share=trainer.speed.waited,
        ranks_equal=results.ranks_equal,
    )


class _Compared(EpochResults):
    """Results that compare the weights of all ranks after every epoch; rank 0 also keeps them on disk."""

    def __init__(self, ranks: HorovodRanks, earlier: Checkpoints) -> None:
        super().__init__(earlier.results)
        self._ranks, self._kept, self.ranks_equal = ranks, earlier if ranks.rank == 0 else None, True

    def save(self, result: EpochResult, arrays: Arrays, state: Arrays) -> None:
        super().save(result, arrays, state)
        self.ranks_equal &= are_equal(state, self._ranks)
        if self._kept is not None:
            self._kept.save(result, arrays, state)


def _horovod() -> Any:
    """Join the other ranks.

    Raises:
        EnvironmentUnready: Horovod is not there, or would crash.
    """
    if trouble := own_name_trouble():
        raise EnvironmentUnready(f"{trouble}.", next_step=f"{name_remedy()} there.")
    loaded()  # or this would import TensorFlow
    try:
        import horovod.tensorflow as hvd
    except ImportError as error:
        raise EnvironmentUnready(
            f"Horovod cannot be imported on {socket.gethostname()}.", next_step="Run `make setup` there."
        ) from error
    # A message waits until it is looked for; with the threads out of the way, looking costs nothing.
    os.environ.setdefault("HOROVOD_CYCLE_TIME", _CYCLE_MS)
    before = _threads()
    hvd.init()
    _let_compute(_threads() - before)
    return hvd


def _threads() -> set[int]:
    return {int(task.name) for task in Path("/proc/self/task").iterdir()}


def _let_compute(messengers: set[int]) -> None:
    """Have Horovod's threads wait until what computes on their core pauses, as it does whenever a message is due.

    They look for messages a thousand times a second and more, and each time would push it off its core.
    """
    for thread in messengers:
        os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


def _own_cores(local_rank: int, local_size: int) -> int:
    """Keep to this rank's share of the machine's cores, so that ranks do not push each other around; return its size."""
    cores = sorted(os.sched_getaffinity(0))
    if local_size > len(cores):
        return 1
    share = cores[local_rank::local_size]
    os.sched_setaffinity(0, share)
    logger.info("rank %d of %d on this machine keeps to the cores %s", local_rank, local_size, share)
    return len(share)


def _own_card(local_rank: int, local_size: int, count: int) -> int:
    """Return which card is this rank's: the one that Spark assigned, or the one of its place on the machine.

    Raises:
        ConfigurationError: Ranks would have to share a card.
    """
    if local_size > count:
        raise too_few_cards(local_size, count)
    from horovod.spark.task import get_available_devices

    try:
        assigned = get_available_devices()
    except Exception:  # Horovod raises a bare one where Spark was given no GPU resources
        logger.debug("Spark assigns no GPUs", exc_info=True)
        return local_rank
    return int(assigned[0]) if assigned else local_rank


def _log_to(path: Path, level: str) -> None:
    """Send all that this process prints to a file that the driver can read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o660)  # less what the mask takes
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    log_lines(logging.StreamHandler(), level=level, force=True)
    faulthandler.enable()  # a crash in a library says where it was


def _end_when_asked(place: RankFolder, rank: int) -> None:
    """End this process when the driver says so, also from within an operation that waits for other ranks."""

    def look() -> None:
        while not place.is_asked_to_stop:
            time.sleep(_LOOK_EVERY_S)
        logger.info("asked to stop")
        place.write_state(replace(place.state(rank), phase="stopped"))
        os._exit(_STOPPED)

    threading.Thread(target=look, name="stop", daemon=True).start()
