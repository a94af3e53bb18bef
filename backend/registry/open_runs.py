"""Open runs belong to a process: one that was killed cannot close its own, and the next start does.

Each has a folder in the home that its process holds (see :mod:`backend.scratch`), so that looking for those that are
left over costs nothing, and runs of other machines in the same store are left alone.
"""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend import scratch
from backend.registry.store import find_run, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient

    from backend.scratch import Hold
    from backend.settings import Settings

PARENT_TAG = "mlflow.parentRunId"
_WHY_TAG, _WHY = "closed", "Its process was killed; the next start of Twinset closed it."

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that this process has open."""

    folder: Path
    hold: Hold

    def closed(self) -> None:
        """Say that it is closed in the store."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.hold.close()


def hold_run(settings: Settings, run_id: str) -> OpenRun:
    """Take a run for this process."""
    folder = settings.open_runs_dir / run_id
    folder.mkdir(parents=True, exist_ok=True)
    return OpenRun(folder, scratch.hold(folder))


def close_left(settings: Settings) -> list[str]:
    """Close the runs of this home whose processes were killed, children included; return their ids.

    Raises:
        RegistryError: The store refuses; the next start tries again.
    """
    left: list[Path] = []
    for folder in settings.open_runs_dir.glob("*"):
        with suppress(OSError):  # closed meanwhile
            left += [folder] if scratch.is_left(folder) else []
    if left:
        with open_store(settings) as client:
            for folder in left:
                _close(client, folder.name)
                logger.warning("The run %s was left open by a process that was killed; it is closed now.", folder.name)
                shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in left]


def _close(client: MlflowClient, run_id: str) -> None:
    run = find_run(client, run_id)
    if run is None:
        return  # removed by somebody
    wanted = f"tags.`{PARENT_TAG}` = '{run_id}' and attributes.status = 'RUNNING'"
    for one in [run, *client.search_runs([run.info.experiment_id], wanted)]:
        if one.info.status == "RUNNING" and one.info.lifecycle_stage == "active":
            client.set_tag(one.info.run_id, _WHY_TAG, _WHY)
            client.set_terminated(one.info.run_id, status="KILLED")
