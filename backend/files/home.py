"""What is where in a home: one folder for each kind of thing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from backend.errors import SettingsError
from backend.files.plain_files import read_plain
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

HOME_FORMAT = 1
_MARK = "home.json"
_LONGEST_MARK = 10_000


def format_of(home: Path) -> int:
    """Return the format of a home: that of the first homes where nothing says, and of a home that is not there yet.

    Raises:
        SettingsError: What says it is damaged.
    """
    try:
        return int(json.loads(read_plain(home / _MARK, _LONGEST_MARK))["format"])
    except (FileNotFoundError, NotADirectoryError):  # on a worker, the package may be run from a zip file
        return 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{home / _MARK} is damaged.", next_step="Restore the home from a backup, or remove this file."
        ) from error


def require_known_format(home: Path) -> None:
    """Refuse a home of a later version: what is in it would be misread, or lost.

    Raises:
        SettingsError: It is one, or what says so is damaged.
    """
    found = format_of(home)
    if found > HOME_FORMAT:
        raise SettingsError(
            f"The home {home} was made by a newer Twinset (format {found}; this version supports up to {HOME_FORMAT}).",
            next_step="Update this Twinset, choose another TWINSET_HOME, or restore a backup made before the update.",
        )


def mark_format(home: Path, version: str) -> None:
    """Note that a home has the format of this version of Twinset."""
    write_atomically(home / _MARK, json.dumps({"format": HOME_FORMAT, "twinset": version}).encode())


class HomeFolders:
    """The folders of a home, and its database of jobs."""

    __slots__ = ()
    home: Path

    @property
    def catalogues_dir(self) -> Path:
        """Folder of the Delta tables, one folder a catalogue."""
        return self.home / "catalogues"

    @property
    def uploads_dir(self) -> Path:
        """Folder of the files of products that were uploaded."""
        return self.home / "uploads"

    @property
    def mappings_dir(self) -> Path:
        """Folder of the mappings of columns that were saved by name."""
        return self.home / "mappings"

    @property
    def exports_dir(self) -> Path:
        """Folder of the corrected tables, one of each catalogue, for download."""
        return self.home / "exports"

    @property
    def fetched_dir(self) -> Path:
        """Folder of the pictures that were fetched from web addresses, and of the list of them."""
        return self.home / "fetched"

    @property
    def remembered_dir(self) -> Path:
        """Folder of what catalogues are loaded from again, one file a catalogue."""
        return self.home / "remembered"

    @property
    def staging_dir(self) -> Path:
        """Folder of the checked loads that wait for their commit."""
        return self.home / "staging"

    @property
    def open_runs_dir(self) -> Path:
        """Folder that names the runs which processes have open, one folder a run."""
        return self.home / "runs"

    @property
    def models_dir(self) -> Path:
        """Folder of the model bundles, one folder a model."""
        return self.home / "models"

    @property
    def sweeps_dir(self) -> Path:
        """Folder of the sweeps, one folder a sweep."""
        return self.home / "sweeps"

    @property
    def spaces_dir(self) -> Path:
        """Folder of the spaces that were saved by name."""
        return self.home / "spaces"

    @property
    def content_cache_dir(self) -> Path:
        """Folder of what was made of pictures and is kept for later trainings; it may be deleted at any time."""
        return self.home / "cache"

    @property
    def similar_dir(self) -> Path:
        """Folder of the tables of similar products, one folder a catalogue."""
        return self.home / "similar"

    @property
    def substitutes_dir(self) -> Path:
        """Folder of the substitutes that were found, with what was decided, one folder a catalogue."""
        return self.home / "substitutes"

    @property
    def maps_dir(self) -> Path:
        """Folder of the maps of galleries, one folder a model."""
        return self.home / "maps"

    @property
    def lists_dir(self) -> Path:
        """Folder of the named lists of products."""
        return self.home / "lists"

    @property
    def rules_dir(self) -> Path:
        """Folder of the rules on answers, with drafts and pictures, one folder a catalogue."""
        return self.home / "rules"

    @property
    def collections_dir(self) -> Path:
        """Folder of the collections of products, one folder a catalogue."""
        return self.home / "collections"

    @property
    def questions_dir(self) -> Path:
        """Folder of the logs of questions, one folder a catalogue."""
        return self.home / "questions"

    @property
    def photos_dir(self) -> Path:
        """Folder of the photos that were searched with, for links to their answers."""
        return self.home / "photos"

    @property
    def audit_dir(self) -> Path:
        """Folder of who did what: the table, and the rows that wait for it."""
        return self.home / "audit"

    @property
    def logs_dir(self) -> Path:
        """Folder of the job and server logs."""
        return self.home / "logs"

    @property
    def jobs_db(self) -> Path:
        """SQLite file of the jobs."""
        return self.home / "jobs.db"
