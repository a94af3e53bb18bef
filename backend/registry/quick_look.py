"""What is at an alias, asked of the home's own MLflow database without MLflow, whose import and opening take seconds.

Only read, and only in the store that Twinset keeps below its home. Where the database is not as it is known here, nothing is
said, and MLflow is asked.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.registry.relocation import follow_home

if TYPE_CHECKING:
    from backend.settings import Settings

_VERSION = """
    SELECT v.version, v.run_id, v.storage_location
    FROM registered_model_aliases AS a
    JOIN model_versions AS v ON v.workspace = a.workspace AND v.name = a.name AND v.version = a.version
    WHERE a.name = ? AND a.alias = ?
"""
_TAGS = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
_BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class AliasedVersion:
    """A version as the registry knows it; ``uri`` is where its files are."""

    name: str
    version: int
    run_id: str
    tags: dict[str, str]
    uri: str


def look(settings: Settings, alias: str) -> AliasedVersion | None:
    """Return what is at an alias; None where only MLflow can tell, or can say what is wrong."""
    database = settings.home / "mlflow.db"
    if settings.tracking_uri or not database.is_file():
        return None
    try:
        follow_home(settings)
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S)) as connection:
            row = connection.execute(_VERSION, (settings.model_name, alias)).fetchone()
            if row is None or not row[2]:
                return None
            tags = dict(connection.execute(_TAGS, (settings.model_name, row[0])))
    except (sqlite3.Error, OSError):
        return None  # another version of MLflow keeps its tables otherwise, or the home cannot be written to
    return AliasedVersion(settings.model_name, int(row[0]), row[1] or "", tags, row[2])
