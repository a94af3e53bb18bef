"""One GPU for each process that runs trials, and never the same one for two of them on a machine."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from backend.errors import EnvironmentUnready
from backend.files.locking import open_lock, taken
from backend.files.scratch import common_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# A process keeps its GPU until it ends: TensorFlow cannot change over to another one.
_HELD: dict[int, int] = {}


def own_gpu(gpus: int, preferred: Sequence[int] = (), *, folder: Path | None = None) -> int:
    """Return the number of the GPU that is this process's own from now on.

    Args:
        gpus: How many the machine has.
        preferred: Those to try first, for example what Spark assigned.
        folder: Where processes of the machine lock; its folder for temporary files when left out.

    Raises:
        EnvironmentUnready: Other processes have all of them.
    """
    for number in _HELD:
        return number
    place = folder or common_folder()
    order = [number for number in preferred if 0 <= number < gpus]
    for number in (*order, *(other for other in range(gpus) if other not in order)):
        handle = open_lock(place / f"twinset-gpu-{number}.lock")
        if taken(handle):
            _HELD[number] = handle  # open for as long as this process lives
            return number
        os.close(handle)
    raise EnvironmentUnready(
        f"All {gpus} GPUs of {socket.gethostname()} are in use by other trials.",
        next_step="Run as many trials at a time as there are GPUs, or set TWINSET_DEVICE to cpu.",
    )


def assigned_by_spark() -> list[int]:
    """Return the GPUs that Spark gave the present task; none where it knows of none."""
    from pyspark import TaskContext

    context = TaskContext.get()
    given: Any = context.resources() if context is not None else {}
    return [int(address) for address in given["gpu"].addresses] if "gpu" in given else []
