"""The tables of a catalogue in Arrow's types, and as the DDL that Spark takes."""

from __future__ import annotations

import pyarrow as pa

from backend.catalogue.items import (
    BYTES_COLUMNS,
    PICTURE_COLUMNS,
    PRODUCT_COLUMNS,
    QUALITY_COLUMNS,
    QUARANTINE_COLUMNS,
)

ARROW_TYPES = {
    "string": pa.string(),
    "binary": pa.binary(),
    "int": pa.int32(),
    "float": pa.float32(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def arrow_schema(columns: tuple[tuple[str, str, bool], ...]) -> pa.Schema:
    """Return columns (name, Spark SQL type, may be null) as an Arrow schema; what may be null is left to Delta."""
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind, _ in columns])


def ddl(columns: tuple[tuple[str, str, bool], ...]) -> str:
    """Return columns (name, Spark SQL type, may be null) as the DDL of a schema that Spark reads."""
    return ", ".join(f"{name} {kind}" for name, kind, _ in columns)


def stored_schema(columns: tuple[tuple[str, str, bool], ...]) -> pa.Schema:
    """Return columns as a file of their table has them: what may not be null is marked so."""
    return pa.schema([pa.field(name, ARROW_TYPES[kind], nullable) for name, kind, nullable in columns])


PRODUCT_SCHEMA = arrow_schema(PRODUCT_COLUMNS)
# Products as they were stored until their pictures had a table of their own.
PICTURED_SCHEMA = PRODUCT_SCHEMA.insert(1, pa.field("image", pa.binary()))
PICTURE_SCHEMA = arrow_schema(PICTURE_COLUMNS)
BYTES_SCHEMA = arrow_schema(BYTES_COLUMNS)
QUARANTINE_SCHEMA = arrow_schema(QUARANTINE_COLUMNS)
QUALITY_SCHEMA = arrow_schema(QUALITY_COLUMNS)
