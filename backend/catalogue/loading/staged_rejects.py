"""The rejected rows of a checked load, before anybody commits it: page by page, and as a zip file to mend."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.dataset as ds

from backend.catalogue.items import Rejected
from backend.catalogue.loading.staging import peek
from backend.catalogue.schemas import QUARANTINE_SCHEMA

if TYPE_CHECKING:
    from backend.settings import Settings

_FIELDS = [item.name for item in fields(Rejected)]


class StagedRejects:
    """What a checked load rejected, in the order of reason and id.

    Raises:
        CatalogueNotFound: The load was committed or discarded, or it is older than a day.
    """

    def __init__(self, settings: Settings, staged: str) -> None:
        load = peek(settings, staged)
        self._files, self._reasons = load.rejected_files, load.rows["reason"].drop_null().to_pylist()

    def rejected_by_reason(self) -> dict[str, int]:
        """Count the rows by the first word of their reason."""
        return dict(sorted(Counter(reason.partition(":")[0] for reason in self._reasons).items()))

    def rejected(self, *, limit: int, offset: int = 0) -> list[Rejected]:
        """Return some rows, with the bytes that came."""
        if not self._files:
            return []
        data = ds.dataset(self._files, schema=QUARANTINE_SCHEMA)
        keys = data.to_table(columns=["reason", "product_id"])
        order = pc.sort_indices(keys, sort_keys=[("reason", "ascending"), ("product_id", "ascending")])
        rows = data.take(order.slice(offset, limit), columns=_FIELDS)
        return [Rejected(**row) for row in rows.to_pylist()]
