"""Types of what travels, as JSON Schema (draft 2020-12, which OpenAPI 3.1 takes), and fields and records made of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
PNG: Schema = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}


def listed(items: Schema, **limits: Any) -> Schema:
    """Return the type of a list."""
    return {"type": "array", "items": items, **limits}


def optional(schema: Schema) -> Schema:
    """Return a type that may be null, too."""
    return {**schema, "type": [schema["type"], "null"]}


def named(record: str) -> Schema:
    """Return the type of a record of ``RECORDS``, by its name."""
    return {"$ref": f"#/components/schemas/{record}"}


def by_name(schema: Schema) -> Schema:
    """Return the type of an object that holds values of one type by name."""
    return {"type": "object", "additionalProperties": schema}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an answer, or one parameter of a question; ``several`` may be given more than once."""

    name: str
    schema: Schema
    meaning: str
    is_required: bool = True
    several: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """An object that travels: its fields, all of them and no other."""

    name: str
    meaning: str
    fields: tuple[Field, ...]

    def names(self) -> tuple[str, ...]:
        """Names of all fields, in order."""
        return tuple(field.name for field in self.fields)


def encoded(data: bytes) -> str:
    """Return bytes as the text that travels for them in JSON."""
    return base64.b64encode(data).decode("ascii")


def decoded(text: str | None) -> bytes:
    """Return what :func:`encoded` was given; nothing for null.

    Raises:
        ValueError: The text is not base64.
    """
    return base64.b64decode(text or "")
