"""Delta logs written by hand: what only a log can tell needs no data files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Action = dict[str, Any]
# A vector's name as Delta writes it, and the file that it means; taken from a real log.
VECTOR = "NpMI1Z&8#:RV7vMlPnep"
VECTOR_FILE = "deletion_vector_99650453-c06f-4ec1-a6fe-6b744337599a.bin"
FEED_ON: Action = {"metaData": {"configuration": {"delta.enableChangeDataFeed": "true"}}}
FEED_OFF: Action = {"metaData": {"configuration": {}}}


def add(path: str, rows: int, *, deleted: int = 0, **more: Any) -> Action:
    """A file with rows, some of them deleted by a vector."""
    action = {"path": path, "size": 9, "dataChange": True, "stats": json.dumps({"numRecords": rows}), **more}
    if deleted:
        vector = {"storageType": "u", "pathOrInlineDv": VECTOR, "offset": 1, "sizeInBytes": 31, "cardinality": deleted}
        action["deletionVector"] = vector
    return {"add": action}


def remove(path: str, **more: Any) -> Action:
    """A file that leaves the table."""
    return {"remove": {"path": path, "deletionTimestamp": 1, "dataChange": True, **more}}


def commit(
    *actions: Action, operation: str = "WRITE", at_s: float = 0.0, note: Any = None, **info: Any
) -> list[Action]:
    """One commit; ``note`` becomes its user metadata."""
    told = {"timestamp": int(at_s * 1000), "operation": operation, **info}
    if note is not None:
        told["userMetadata"] = note if isinstance(note, str) else json.dumps(note)
    return [{"commitInfo": told}, *actions]


def write_log(table: Path, *commits: list[Action], first: int = 0) -> None:
    """Write commits with consecutive versions."""
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    for version, actions in enumerate(commits, first):
        (log / f"{version:020d}.json").write_text("\n".join(json.dumps(action) for action in actions))
