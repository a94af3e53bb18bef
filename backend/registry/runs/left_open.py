"""What killed processes had under way in the store is ended by the next start."""

from __future__ import annotations

import logging
import shutil
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from backend.files import scratch
from backend.registry.runs.open_runs import end
from backend.registry.store import open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from backend.settings import Settings

logger = logging.getLogger(__name__)


def close_left(settings: Settings) -> list[str]:
    """End what killed processes of this home had under way, child runs included; return the names of the pieces of work.

    Raises:
        RegistryError: The store refuses; the next start tries again.
    """
    left: list[str] = []
    with ExitStack() as claims:
        for folder in scratch.left_in(settings.open_runs_dir, "*"):
            with suppress(OSError):  # closed meanwhile
                left += [folder.name] if claims.enter_context(scratch.claimed(folder)) else []
        if left:
            with open_store(settings) as client:
                _close_all(client, settings, left)
    return left


def _close_all(client: MlflowClient, settings: Settings, names: list[str]) -> None:
    from backend.registry.alias_moves import finish

    for name in names:
        folder = settings.open_runs_dir / name
        finish(client, settings, folder)
        end(client, name)
        logger.warning("The run %s was left open by a killed process; it is now closed.", name)
        shutil.rmtree(folder, ignore_errors=True)
