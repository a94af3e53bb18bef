"""A checkpoint an epoch: weights on disk that outlive a crash or a cancelled job, and the best epoch among them."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from backend.bundle import write_atomically
from backend.errors import StorageFull, is_disk_full
from backend.training import weights

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

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


class Checkpoints:
    """The checkpoints of one training, in a folder of their own; an earlier training's are removed first.

    Args:
        folder: Where they go, e.g. ``models/<name>.checkpoints``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._results: list[EpochResult] = []
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    @property
    def best(self) -> EpochResult:
        """The best epoch so far; the earliest of equals."""
        return max(self._results, key=lambda result: result.score)

    def save(self, result: EpochResult, arrays: list[NDArray[np.float32]]) -> None:
        """Keep an epoch's weights and figures; a reader sees a whole file or none.

        Raises:
            StorageFull: There is no space for it.
        """
        self._results.append(result)
        figures = json.dumps([asdict(item) for item in self._results], indent=2)
        try:
            write_atomically(self._path(result.epoch), weights.pack(arrays))
            write_atomically(self._folder / EPOCHS_FILE, figures.encode())
        except OSError as error:
            if is_disk_full(error):
                raise StorageFull("The disk is full.", next_step="Free some space and train again.") from error
            raise

    def load(self, epoch: int) -> list[NDArray[np.float32]]:
        """Read an epoch's weights back."""
        return weights.unpack(self._path(epoch))

    def _path(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:03d}.npz"
