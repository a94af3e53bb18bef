"""What every process of the product begins with: its folder for temporary files, and what killed ones left goes."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backend import scratch
from backend.bundle import WORKPLACES
from backend.catalogue.leftovers import sweep
from backend.errors import WorkbenchError
from backend.registry.open_runs import close_left
from backend.storage import private

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.settings import Settings


@contextmanager
def own_process(settings: Settings) -> Iterator[None]:
    """Give this process a folder for temporary files, and clear the home of what killed processes left in it."""
    with private(settings.home), scratch.own_folder():
        sweep(settings)
        for parent in (settings.models_dir, settings.home / "downloads", *settings.maps_dir.glob("*")):
            scratch.sweep(parent, WORKPLACES)
        try:
            close_left(settings)
        except WorkbenchError as error:  # what is asked for may need no store
            logger.warning("Runs of killed processes stay open for now: %s", error)
        yield
