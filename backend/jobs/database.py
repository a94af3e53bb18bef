"""What the SQLite file of the jobs holds."""

from __future__ import annotations

from backend.errors import JobError
from backend.files.database import Layout

_SCHEMA = (
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL,
        retry_of TEXT REFERENCES jobs (id), pid INTEGER,
        created_at REAL NOT NULL, started_at REAL, finished_at REAL, cancel_requested_at REAL,
        heartbeat_at REAL, heartbeat_tick REAL,
        done REAL NOT NULL DEFAULT 0, total REAL NOT NULL DEFAULT 0,
        unit TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '', rate REAL, due_at REAL,
        result TEXT, error TEXT, next_step TEXT NOT NULL DEFAULT ''
    )
    """,
    # Two simultaneous submits of one request cannot both become a job.
    "CREATE UNIQUE INDEX one_active_job ON jobs (kind, request) WHERE state IN ('QUEUED', 'RUNNING')",
    "CREATE INDEX jobs_by_time ON jobs (created_at)",
    # SQLite keeps a not-a-number as NULL, so that a diverged loss needs a column that takes it.
    """
    CREATE TABLE metrics (
        job_id TEXT NOT NULL REFERENCES jobs (id), name TEXT NOT NULL, step INTEGER NOT NULL, value REAL
    )
    """,
    "CREATE INDEX metrics_by_job ON metrics (job_id)",
)
_PERSON = ("ALTER TABLE jobs ADD COLUMN asked_by TEXT",)  # version 2: a person, as JSON
# Version 3: jobs wait for their turn. A process is about to be started for a job that is claimed; see JobStore.claim.
_QUEUE = (
    "ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 2",
    "ALTER TABLE jobs ADD COLUMN claimed_tick REAL",
)
_REQUEST = ("ALTER TABLE jobs ADD COLUMN request_id TEXT NOT NULL DEFAULT ''",)  # version 4
# Version 5: jobs that recur; see backend.jobs.schedules.
_SCHEDULES = (
    """
    CREATE TABLE schedules (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, request TEXT NOT NULL, rule TEXT NOT NULL, zone TEXT NOT NULL,
        catch_up INTEGER NOT NULL, is_on INTEGER NOT NULL, made_by TEXT NOT NULL, is_listed INTEGER NOT NULL,
        made_at REAL NOT NULL, next_at REAL NOT NULL, last_at REAL, last_job TEXT, missed TEXT NOT NULL DEFAULT '[]', note TEXT NOT NULL DEFAULT ''
    )
    """,
)
LAYOUT = Layout(
    "The job list",
    _SCHEMA,
    JobError,
    again="submit the job again",
    anew="a new, empty list is created. Catalogues and models are not affected.",
    later=(_PERSON, _QUEUE, _REQUEST, _SCHEDULES),
)
