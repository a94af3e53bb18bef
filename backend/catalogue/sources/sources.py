"""Where products come from: what a source must offer.

A source is asked twice. On the driver it lists its products without a picture; on the executors, part by part, it
turns a few of those rows into encoded pictures. So it must pickle small: it carries paths and counts, never arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pyarrow as pa

from backend.catalogue.fields import COLUMNS
from backend.catalogue.schemas import arrow_schema
from backend.errors import ImageRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a source says about a product before its picture is read. ``split`` and ``label`` are null where the source has
# none; ``reason`` says why the source itself knows the row to be unusable, as ``code: sentence``; ``source_row`` is the
# row as the source gave it, as JSON text; ``locator`` says where its picture lies, in words of the source, and
# ``more_pictures`` where its further ones do, in order, null where there are none; ``position`` is the source's own row
# number; ``warning`` holds what was emptied or guessed, see ``load_warnings``.
ENTRY_SCHEMA = pa.schema(
    [
        ("product_id", pa.string()),
        ("label", pa.string()),
        ("split", pa.string()),
        *arrow_schema(COLUMNS),
        ("reason", pa.string()),
        ("source_row", pa.string()),
        ("locator", pa.string()),
        ("position", pa.int64()),
        ("warning", pa.string()),
        ("more_pictures", pa.list_(pa.string())),
    ]
)
# The encoded picture of an entry, None where there is none, or why what is there cannot be used.
Picture = bytes | ImageRejected | None


@runtime_checkable
class Source(Protocol):
    """Products to load into a catalogue; small when pickled."""

    @property
    def name(self) -> str:
        """What the column ``source`` will say."""

    def entries(self) -> pa.Table:
        """List all products without their pictures, in :data:`ENTRY_SCHEMA`; called once, on the driver."""

    def read(self, entries: pa.RecordBatch) -> list[Picture]:
        """Return the picture of each of these entries (columns as in :data:`ENTRY_SCHEMA`); called on executors."""


@runtime_checkable
class Remarking(Protocol):
    """A source that has something to say beside its products."""

    def remarks(self) -> tuple[str, ...]:
        """Sentences for the user about what was guessed or is not read; asked on the driver."""


def remarks_of(source: object) -> tuple[str, ...]:
    """Return what a source has to say beside its products; most have nothing."""
    return source.remarks() if isinstance(source, Remarking) else ()


def entry_table(columns: Mapping[str, Any]) -> pa.Table:
    """Build entries from the columns that a source has; all others are null.

    Args:
        columns: Values by name in :data:`ENTRY_SCHEMA`, all of one length; ``position`` must be among them.
    """
    count = len(columns["position"])
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in ENTRY_SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=ENTRY_SCHEMA)
