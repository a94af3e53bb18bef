"""A home folder can be copied or moved; MLflow's own database, which notes absolute paths, is brought along here.

Only the store that Twinset keeps below its home is touched, and in it only what is below the artifact folder that the
home had before, which is noted in a file: whoever reaches MLflow can write into its database, and not into the home.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from backend.errors import RegistryError
from backend.files.plain_files import read_plain
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from backend.settings import Settings

ROOT_FILE = "artifact-root"
_LONGEST_PATH = 4_096
_OLD_TAG = "twinset.artifact_root"  # of experiments, where earlier versions noted it
_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
_BUSY_TIMEOUT_S = 10.0


def follow_home(settings: Settings) -> bool:
    """Rewrite artifact paths that point to where the home was before; returns whether it was moved.

    Raises:
        RegistryError: The file that says where it was cannot be read.
    """
    if settings.tracking_uri or settings.artifact_uri:
        return False
    here, database, noted = settings.effective_artifact_uri, settings.home / "mlflow.db", settings.home / ROOT_FILE
    before = _noted(noted) if os.path.lexists(noted) else ""
    if before == here:
        return False
    if database.is_file():
        with closing(sqlite3.connect(database, timeout=_BUSY_TIMEOUT_S)) as connection, connection:
            before = before or _of_earlier_version(connection, here)
            if before != here:
                _rewrite(connection, before, here)
    write_atomically(noted, here.encode())  # after the database: what is cut short is done again
    return before not in {"", here}


def _noted(path: Path) -> str:
    try:
        return read_plain(path, _LONGEST_PATH).decode()
    except (OSError, ValueError) as error:
        raise RegistryError(
            f"{path} does not contain the path of the artifacts.",
            next_step="Write into it the path that this home's `artifacts` folder had when it last worked.",
        ) from error


def _of_earlier_version(connection: sqlite3.Connection, here: str) -> str:
    """Return the artifact folder of a home without the file.

    It is that of the experiment that MLflow makes with the database, or, if that is in a working directory, of the first
    that an earlier Twinset made: locations of experiments, other than their tags, cannot be changed through MLflow.
    """
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiment_tags'").fetchone():
        return here
    first = connection.execute("SELECT artifact_location FROM experiments WHERE experiment_id = 0").fetchone()
    if first and first[0] and first[0].endswith("/artifacts/0"):
        return str(first[0].removesuffix("/0"))
    connection.execute(
        "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0 AND artifact_location LIKE ?",
        (f"{here}/0", "%/mlruns/0"),
    )
    made = connection.execute(
        "SELECT e.artifact_location FROM experiments AS e JOIN experiment_tags AS t ON t.experiment_id = e.experiment_id "
        "WHERE t.key = ? AND t.value = e.artifact_location ORDER BY e.experiment_id LIMIT 1",
        (_OLD_TAG,),
    ).fetchone()
    return str(made[0]) if made else here


def _rewrite(connection: sqlite3.Connection, before: str, here: str) -> None:
    for table, column in _PATHS:
        connection.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - names are ours
            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (here, len(before) + 1, before, len(before) + 1, f"{before}/"),
        )
