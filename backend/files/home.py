"""What is where in a home: one folder for each kind of thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
    def logs_dir(self) -> Path:
        """Folder of the job and server logs."""
        return self.home / "logs"

    @property
    def jobs_db(self) -> Path:
        """SQLite file of the jobs."""
        return self.home / "jobs.db"
