"""A first look at a source that a stranger made: in a process of its own, with limits, which is gone afterwards.

What it found is handed over as JSON with the pictures in base64. A pickle would let whoever took the process over run
code in the app, and Arrow's reader is one more parser that the app would have to trust.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from backend.catalogue.sources.tables.choice import Tables
from backend.catalogue.split_demand import SplitDemand
from backend.errors import CatalogueError
from backend.files.limited import LimitedProcess, LimitExceeded, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend.catalogue.sources.locations import Kind
    from backend.catalogue.sources.pictures.listing import LabelFrom
    from backend.catalogue.sources.preview import Preview

# A table of a million rows takes half of the time. Address space is more than memory: libraries map 600 MB of files.
LIMITS = Limits(memory_bytes=2_500_000_000, cpu_s=60, wall_s=90)
_FUNCTION = "backend.catalogue.sources.looking:answer"
_SENTENCES = {
    "memory": "needs more memory than a preview may use.",
    "time": f"takes longer than the {LIMITS.wall_s:.0f} s that a preview may take.",
    "answer": "has more metadata than a preview can show.",
    "damage": "crashes the program that reads it: it is damaged or malicious.",
}
_NEXT = {
    "memory": "Split it into several smaller files, with pictures as files of their own rather than in the table.",
    "time": "Split it into several smaller files, then load one after the other.",
    "answer": "Split it into several smaller files, then load one after the other.",
    "damage": "Export or save it again, then retry.",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked at: the arguments of :func:`backend.catalogue.sources.preview.preview`, and how pictures are limited."""

    kind: Kind
    path: str
    columns: tuple[tuple[str, str], ...] = ()
    label_from: LabelFrom = "folder"
    version: int | None = None
    table: str = ""
    fetched: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: the tables of a folder or zip, and the source unless it has to be said first which table counts."""

    tables: Tables
    preview: Preview | None


class Looking:
    """One look at a source, under way; a context manager, after which its process is gone.

    Args:
        question: What to look at.
        limits: What it may take.
    """

    def __init__(self, question: Question, limits: Limits = LIMITS) -> None:
        self._name = Path(question.path).name
        self._process = LimitedProcess(_FUNCTION, limits)
        self._process.send(json.dumps(asdict(question)).encode())

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def found(self, wait_s: float) -> Look | None:
        """Wait at most ``wait_s`` seconds for what was seen; None where it goes on.

        Raises:
            DatasetUnavailable: There is no such file.
            CatalogueError: It cannot be read, or takes more than a preview may take.
        """
        try:
            answer = self._process.answer(wait_s)
        except LimitExceeded as error:
            raise CatalogueError(f"{self._name} {_SENTENCES[error.limit]}", next_step=_NEXT[error.limit]) from error
        return None if answer is None else _look(json.loads(answer))


def answer(question: bytes) -> bytes:
    """Look at a source; called in the process."""
    from backend.catalogue.sources.preview import preview
    from backend.catalogue.sources.tables.choice import tables_in

    raw = json.loads(question)
    raw["columns"] = dict(raw["columns"]) or None
    kind, path = raw.pop("kind"), Path(raw.pop("path"))
    tables = tables_in(kind, path) if kind in {"folder", "zip"} else Tables("")
    open_choice = not raw["table"] and tables.usual is None
    found = None if open_choice else preview(kind, path, **raw)
    return json.dumps({"tables": asdict(tables), "preview": found and asdict(found)}, default=_plain).encode()


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(type(value).__name__)


def _look(raw: Mapping[str, Any]) -> Look:
    tables = raw["tables"]
    return Look(
        Tables(tables["place"], tuple(tables["top"]), tuple(tables["deeper"])),
        None if raw["preview"] is None else _preview(raw["preview"]),
    )


def _preview(raw: dict[str, Any]) -> Preview:
    from backend.catalogue.sources.preview import Preview, PreviewRow

    demand = SplitDemand(**{**raw["demand"], "stated": frozenset(raw["demand"]["stated"])})
    rows = (
        PreviewRow(**{**row, "thumbnail": row["thumbnail"] and base64.b64decode(row["thumbnail"])})
        for row in raw["rows"]
    )
    more = {name: tuple(raw[name]) for name in ("columns", "notes")}
    return Preview(**{**raw, **more, "rows": tuple(rows), "demand": demand})
