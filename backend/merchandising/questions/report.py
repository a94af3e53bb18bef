"""What the log of questions says in all: how much was asked, how often nothing was close, what never appears."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from backend.catalogue.snapshot import list_catalogues, open_snapshot
from backend.merchandising.questions.question_store import QuestionStore

if TYPE_CHECKING:
    from pathlib import Path

_SHOWN = 200
_COLUMNS = ("time", "question", "has_match", "product_ids", "milliseconds", "caller")


def report(questions_dir: Path, catalogues_dir: Path, catalogue: str) -> dict[str, Any]:
    """Return figures over the whole log of a catalogue, as JSON values.

    Args:
        questions_dir: Folder of the logs of all catalogues.
        catalogues_dir: Folder of all catalogues: products that are on sale now may never have been answered.
        catalogue: Its name.

    Raises:
        CatalogueError: Log or catalogue cannot be read.
    """
    rows = QuestionStore(questions_dir, catalogue).columns(_COLUMNS)
    shown = Counter(pc.list_flatten(rows["product_ids"]).to_pylist())
    matches = Counter(rows["has_match"].to_pylist())
    known = matches[True] + matches[False]
    never = [name for name in _on_sale(catalogues_dir, catalogue) if name not in shown]
    ends = pc.min_max(rows["time"]).as_py() if len(rows) else {"min": None, "max": None}
    return {
        "catalogue": catalogue,
        "questions": len(rows),
        "pictures": len(set(rows["question"].to_pylist())),
        "first": ends["min"] and ends["min"].isoformat(),
        "last": ends["max"] and ends["max"].isoformat(),
        "nothing_close": matches[False],
        "nothing_close_share": matches[False] / known if known else None,
        "callers": dict(Counter(rows["caller"].to_pylist()).most_common()),
        "median_ms": pc.quantile(rows["milliseconds"], 0.5)[0].as_py() if len(rows) else None,
        "most_shown": [{"product_id": name, "answers": count} for name, count in shown.most_common(20)],
        "never_shown_count": len(never),
        "never_shown": never[:_SHOWN],
    }


def _on_sale(catalogues_dir: Path, catalogue: str) -> list[str]:
    if catalogue not in list_catalogues(catalogues_dir):
        return []
    found: list[str] = (
        open_snapshot(catalogues_dir, catalogue).columns(["product_id"], on_sale_only=True)["product_id"].to_pylist()
    )
    return found
