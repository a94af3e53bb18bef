"""What is known about the pictures of a catalogue, in counts and groups; no JVM."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from backend.catalogue.quality.view import open_quality
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.upkeep.resplit import duplicate_groups, leaks_of

if TYPE_CHECKING:
    from pathlib import Path

_SHOWN = 20


def quality_report(catalogues_dir: Path, catalogue: str) -> dict[str, Any]:
    """Return flags, duplicates and leaks of a catalogue's newest version as JSON values."""
    snapshot = open_snapshot(catalogues_dir, catalogue)
    table = open_quality(snapshot, catalogues_dir / catalogue)
    exact, near = duplicate_groups(catalogues_dir, catalogue)
    leaks, split_of = leaks_of(catalogues_dir, catalogue, near=True)
    return {
        "catalogue": catalogue,
        "version": snapshot.version,
        "not_measured": table.missing,
        "flags": table.flag_counts(),
        "exact_duplicates": {"groups": len(exact), "products": sum(map(len, exact))},
        "near_duplicates": {"groups": len(near), "products": sum(map(len, near))},
        "leaks": {"groups": len(leaks), "by_splits": dict(Counter(" + ".join(leak.splits) for leak in leaks))},
        "leaking": [{name: split_of[name] for name in leak.product_ids} for leak in leaks[:_SHOWN]],
    }
