"""A home folder can be copied or moved; MLflow's own database, which notes absolute paths, is brought along here.

Only the store that Twinset keeps below its home is touched, and in it only what lies below an artifact root that an
experiment of ours was made with.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.settings import Settings

ROOT_TAG = "twinset.artifact_root"
_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
_BUSY_TIMEOUT_S = 10.0


def follow_home(settings: Settings) -> int:
    """Rewrite artifact paths that point to where the home was before; returns how many roots were found moved."""
    database = settings.home / "mlflow.db"
    if settings.tracking_uri or settings.artifact_uri or not database.is_file():
        return 0
    here = settings.effective_artifact_uri
    with closing(sqlite3.connect(database, timeout=_BUSY_TIMEOUT_S)) as connection, connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiment_tags'").fetchone():
            return 0
        # Earlier versions left MLflow's own experiment in the working directory; its runs note their paths themselves.
        connection.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0 AND artifact_location LIKE ?",
            (f"{here}/0", "%/mlruns/0"),
        )
        query = "SELECT DISTINCT value FROM experiment_tags WHERE key = ? AND value != ?"
        moved = [root for (root,) in connection.execute(query, (ROOT_TAG, here))]
        for root in moved:
            for table, column in _PATHS:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - names are ours
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (here, len(root) + 1, root, len(root) + 1, f"{root}/"),
                )
            connection.execute(
                "UPDATE experiment_tags SET value = ? WHERE key = ? AND value = ?", (here, ROOT_TAG, root)
            )
    return len(moved)
