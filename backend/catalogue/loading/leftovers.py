"""What loads leave in a home: folders of killed ones, checked loads that nobody committed, and old uploads."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from backend.bundles.bundle import WORKPLACES
from backend.files import scratch

if TYPE_CHECKING:
    from pathlib import Path

    from backend.settings import Settings

META = "load.json"  # a folder of the staging with it can be committed
KEPT_S = 24 * 3600  # how long a checked load waits for its commit
UPLOADS_KEPT_S = 7 * 24 * 3600  # an uploaded file may be loaded again, with other options, for a week


def sweep(settings: Settings) -> None:
    """Remove what :func:`left` finds."""
    for path in left(settings):
        scratch.remove(path)


def left(settings: Settings) -> list[Path]:
    """Return what killed loads left, loads that nobody committed within a day, and uploads of last week."""
    found = scratch.left_in(settings.uploads_dir, WORKPLACES)
    for upload in settings.uploads_dir.glob("[!.]*"):
        with suppress(FileNotFoundError):  # another sweep was faster
            found += [upload] if time.time() - upload.stat().st_mtime > UPLOADS_KEPT_S else []
    for folder in settings.staging_dir.glob("*"):
        with suppress(OSError):  # another sweep was faster
            is_waiting = (folder / META).exists() and time.time() - folder.stat().st_mtime <= KEPT_S
            found += [folder] if not is_waiting and scratch.is_left(folder) else []
    return found
