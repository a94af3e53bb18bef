"""A home of an earlier version brought to this one, with a backup of it as it was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backend import __version__
from backend.access.person import Role
from backend.access.use_case import use_case
from backend.catalogue.fetch.records import records_of, store_of
from backend.errors import FileUnusable
from backend.files.home import HOME_FORMAT, format_of, mark_format, require_known_format
from backend.jobs.backup.archive import back_up
from backend.jobs.store import JobStore
from backend.registry.store import upgrade_store

if TYPE_CHECKING:
    from pathlib import Path

    from backend.progress import Progress
    from backend.settings import Settings


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did: formats before and after, and the backup from before it."""

    before: int
    after: int
    backup: str


@use_case("home.upgrade", Role.ADMIN)
def upgrade(settings: Settings, output: Path | None, progress: Progress) -> Upgraded:
    """Bring a home's databases to this version, after a backup; repeating it is harmless.

    Args:
        settings: Of the home.
        output: The backup; beside the home when left out.
        progress: Hears how the backup goes.

    Raises:
        SettingsError: The home is a newer version's.
        FileUnusable: There is no home, or the backup's name is taken.
        RegistryError: MLflow cannot bring its database up to date; the backup has the home as it was.
    """
    home = settings.home
    require_known_format(home)
    if not home.is_dir():
        raise FileUnusable(f"There is no home at {home}.", next_step="Set TWINSET_HOME to the folder of the home.")
    before = format_of(home)
    backup = output or home.with_name(
        f"{home.name.lstrip('.')}-before-{__version__}-{datetime.now(UTC):%Y%m%dT%H%M%S}.tar"
    )
    back_up(home, backup, progress)
    JobStore(settings.jobs_db).list(limit=1)
    if store_of(settings).folder.is_dir():
        records_of(store_of(settings)).confirmed()
    upgrade_store(settings)
    mark_format(home, __version__)
    return Upgraded(before, HOME_FORMAT, str(backup))
