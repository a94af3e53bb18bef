"""A catalogue that changes step by step, as a MERGE changes one: deletion vectors over old rows, new rows in new files."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from deltalake import write_deltalake

from backend.catalogue.items import PRODUCTS
from backend.catalogue.snapshot import Snapshot, open_snapshot
from tests.support.stored_catalogues import _PROTOCOL, _added, _vector, product_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.support.stored_catalogues import Row

FEED = {"delta.enableChangeDataFeed": "true"}
WITHDRAWN = {"withdrawn_at": datetime(2026, 11, 25, tzinfo=UTC)}


class ChangingShop:
    """A catalogue with a Change Data Feed.

    Args:
        folder: The folder of all catalogues.
        rows: Its first products.
        name: Its name.
    """

    def __init__(self, folder: Path, rows: Iterable[Row], *, name: str = "shop") -> None:
        self.folder, self.name = folder, name
        self.rows = {row["product_id"]: row for row in rows}
        self._hidden: dict[str, set[int]] = defaultdict(set)  # by file: rows that are not there any more
        write_deltalake(self._table, product_table([]), configuration=FEED)
        write_deltalake(self._table, product_table(self.rows.values()), mode="append")

    @property
    def _table(self) -> Path:
        return self.folder / self.name / PRODUCTS

    @property
    def snapshot(self) -> Snapshot:
        """The newest version."""
        return open_snapshot(self.folder, self.name)

    def put(self, *rows: Row) -> Snapshot:
        """Put products in, in place of those with the same ids; two versions where there are any."""
        held = [row["product_id"] for row in rows if row["product_id"] in self.rows]
        if held:
            self._hide(held)
        write_deltalake(self._table, product_table(rows), mode="append")
        self.rows |= {row["product_id"]: row for row in rows}
        return self.snapshot

    def change(self, product_id: str, **columns: object) -> Snapshot:
        """Change columns of one product."""
        return self.put({**self.rows[product_id], **columns})

    def drop(self, ids: Sequence[str]) -> Snapshot:
        """Take products out."""
        self.rows = {name: row for name, row in self.rows.items() if name not in {*ids}}
        self._hide(ids)
        return self.snapshot

    def _hide(self, ids: Sequence[str]) -> None:
        """Commit deletion vectors over the rows of these products."""
        version = self.snapshot.version + 1
        actions: list[Row] = [{"commitInfo": {"timestamp": 1, "operation": "DELETE"}}, _PROTOCOL]
        for path, action in _added(self._table).items():
            names = pq.read_table(self._table / path, columns=["product_id"])["product_id"].to_pylist()
            before = set(self._hidden[path])
            self._hidden[path] |= {place for place, name in enumerate(names) if name in {*ids}}
            if self._hidden[path] != before:
                removed = {"path": path, "deletionTimestamp": 1, "dataChange": True}
                if before:
                    removed["deletionVector"] = action["deletionVector"]
                actions.append({"remove": removed})
                vector = _vector(sorted(self._hidden[path]))
                actions.append({"add": {**action, "deletionVector": vector, "dataChange": True}})
        log = self._table / "_delta_log" / f"{version:020d}.json"
        log.write_text("\n".join(json.dumps(action) for action in actions))
