"""The SQLite file of what was fetched, and how files of earlier versions become one of this."""

from __future__ import annotations

from backend.errors import CatalogueError
from backend.files.database import Layout

DATABASE = "fetched.db"
LAYOUT = Layout(
    "The list of fetched pictures",
    (
        """
        CREATE TABLE fetched (
            address TEXT PRIMARY KEY, final TEXT NOT NULL, status INTEGER NOT NULL, etag TEXT NOT NULL,
            modified TEXT NOT NULL, sha256 TEXT NOT NULL, kind TEXT NOT NULL, n_bytes INTEGER NOT NULL,
            attempts INTEGER NOT NULL, reason TEXT NOT NULL, fetched_at REAL NOT NULL,
            placeholder INTEGER NOT NULL DEFAULT 0
        ) WITHOUT ROWID
        """,
        "CREATE INDEX fetched_by_picture ON fetched (sha256)",
        """
        CREATE TABLE wanted (
            source TEXT NOT NULL, host TEXT NOT NULL, address TEXT NOT NULL, owner TEXT NOT NULL,
            PRIMARY KEY (source, host, address, owner)
        ) WITHOUT ROWID
        """,
        "CREATE TABLE confirmed (host TEXT PRIMARY KEY, confirmed_at REAL NOT NULL) WITHOUT ROWID",
    ),
    CatalogueError,
    again="fetch the rest",
    anew="pictures are then fetched again. Catalogues are not affected.",
    later=(
        (
            # Of pictures that many products share; what was found of one holds for whatever address it comes from next.
            "CREATE TABLE shared (sha256 TEXT PRIMARY KEY, is_real INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
            "INSERT INTO shared (sha256) SELECT DISTINCT sha256 FROM fetched WHERE placeholder AND sha256 != ''",
            "ALTER TABLE fetched DROP COLUMN placeholder",
        ),
    ),
)
