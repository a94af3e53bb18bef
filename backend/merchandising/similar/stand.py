"""What the table was made from, and whether an answer could be another one now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.errors import CatalogueNotFound
from backend.merchandising.similar.making import table_of
from backend.merchandising.similar.table import note_of

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stand:
    """How the table of a catalogue stands.

    Attributes:
        at: When it was made, ISO time.
        products: Products that it holds.
        k: Similar products of each, at most.
        is_stale: Whether what answers, or the rules, are newer.
    """

    at: str
    products: int
    k: int
    is_stale: bool


def made_of(similar_dir: Path, catalogue: str) -> dict[str, Any]:
    """Return what the table of a catalogue was made from: model, index generation, versions of catalogue and rules, time.

    Raises:
        CatalogueNotFound: There is none.
    """
    note = note_of(table_of(similar_dir, catalogue))
    if not note:
        raise CatalogueNotFound(
            f"There is no list of similar products of {catalogue} yet.",
            next_step="Make it on the Catalogue page, or with `python -m backend similar build`.",
        )
    return {name: value for name, value in note.items() if name not in {"kept", "action", "depth", "weights"}}


def stand(
    similar_dir: Path,
    catalogue: str,
    *,
    model_version: int,
    rules_version: int = 0,
    now: datetime | None = None,
) -> Stand | None:
    """Tell how the table of a catalogue stands to what answers now; None where there is no table.

    Args:
        similar_dir: Where the tables are.
        catalogue: Name of the catalogue.
        model_version: Number in the registry of what answers.
        rules_version: Newest published version of the rules.
        now: The time; now where left out.
    """
    note = note_of(table_of(similar_dir, catalogue))
    if not note:
        return None
    made = (note["model_version"], note["rules_version"])
    until = str(note.get("rules_until") or "")
    is_over = bool(until) and datetime.fromisoformat(until) <= (now or datetime.now(UTC))
    return Stand(
        str(note["at"]), int(note["products"]), int(note["k"]), is_over or made != (model_version, rules_version)
    )
