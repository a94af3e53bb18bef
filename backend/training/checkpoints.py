"""Checkpoints of a training: what outlives a crash or a cancelled job, to take the best epoch from and to go on from."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from backend.files.storage import disk_watched, write_atomically
from backend.training.network import weights

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    Arrays = list[NDArray[Any]]

EPOCHS_FILE = "epochs.json"


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What an epoch, numbered from 1, came to.

    Attributes:
        loss: Mean over its batches.
        precision_at_1, map_at_r: Of validation queries against train products, in [0, 1].
    """

    epoch: int
    loss: float
    precision_at_1: float
    map_at_r: float

    @property
    def score(self) -> float:
        """What epochs are compared by: the mean of both, which a few queries more or less do not turn around."""
        return (self.precision_at_1 + self.map_at_r) / 2


class EpochResults:
    """What the epochs of a training came to so far; kept in memory, as every rank but the first does."""

    def __init__(self, earlier: Iterable[EpochResult] = ()) -> None:
        self._results = list(earlier)

    @property
    def results(self) -> tuple[EpochResult, ...]:
        """All of them, in their order."""
        return tuple(self._results)

    @property
    def done(self) -> int:
        """Epochs that are done."""
        return len(self._results)

    @property
    def best(self) -> EpochResult:
        """The best epoch so far; the earliest of equals."""
        return max(self._results, key=lambda result: result.score)

    def save(self, result: EpochResult, arrays: Arrays, state: Arrays) -> None:  # noqa: ARG002 - nothing is stored
        """Note an epoch's figures."""
        self._results.append(result)


class Checkpoints(EpochResults):
    """The checkpoints of one training, in a folder of their own.

    epochs.json    figures of all epochs
    epoch-001.npz  the network's arrays after epoch 1; of the best epoch only
    state-001.npz  all that is needed to go on after that epoch; the newest only

    Args:
        folder: Where they go, e.g. ``models/<name>.checkpoints``.
        resume: Whether to go on with what is there; otherwise an earlier training's are removed first.
    """

    def __init__(self, folder: Path, *, resume: bool = False) -> None:
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(_epochs_of(folder))
        self._folder = folder

    def save(self, result: EpochResult, arrays: Arrays, state: Arrays) -> None:
        """Keep an epoch's weights, figures and state; a reader sees a whole file or none.

        What is older goes only once the new is there, but for the best epoch: any moment leaves something to go on from.

        Raises:
            StorageFailed: There is no space for it, or the disk refuses; what was kept before is still there.
        """
        super().save(result, arrays, state)
        figures = json.dumps([asdict(item) for item in self._results], indent=2)
        with disk_watched("train again", so=f": epoch {result.epoch} could not be stored"):
            if self.best is result:
                write_atomically(self._path(result.epoch), weights.pack(arrays))
            write_atomically(self._state_path(result.epoch), weights.pack(state))
            write_atomically(self._folder / EPOCHS_FILE, figures.encode())
        needed = {self._path(self.best.epoch), self._state_path(result.epoch)}
        for path in {*self._folder.glob("epoch-*.npz"), *self._folder.glob("state-*.npz")} - needed:
            path.unlink(missing_ok=True)

    def load(self, epoch: int) -> list[NDArray[np.float32]]:
        """Read the weights of the best epoch back."""
        return weights.unpack(self._path(epoch))

    def state(self) -> Arrays:
        """Read the state after the last epoch that is done.

        Raises:
            BundleError: It is missing or damaged.
        """
        return weights.unpack(self._state_path(self.done))

    def _path(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:03d}.npz"

    def _state_path(self, epoch: int) -> Path:
        return self._folder / f"state-{epoch:03d}.npz"


def _epochs_of(folder: Path) -> list[EpochResult]:
    """Read the figures of the epochs whose state is there; none where nothing was kept yet."""
    if not (folder / EPOCHS_FILE).is_file():
        return []
    return [EpochResult(**figures) for figures in json.loads((folder / EPOCHS_FILE).read_text("utf-8"))]
