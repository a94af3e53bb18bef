"""The OpenAPI 3.1 document of the endpoint, made from the tables of :mod:`backend.serving.wire`.

It is served at ``/openapi.json`` and kept in ``docs/reference/openapi.json``, which this regenerates::

    python -m backend.serving.openapi
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.serving.wire.records import RECORDS
from backend.serving.wire.refusals import REFUSALS
from backend.serving.wire.routes import (
    ANY_BYTES,
    FORM,
    FORMATS,
    INPUT,
    INVOCATIONS,
    JSON,
    LIKE,
    MAX_PICTURES,
    PARAMS,
    QUESTION,
    RECOMMEND,
    ROUTES,
    UNLIKE,
)
from backend.serving.wire.shapes import TEXT, WHOLE, listed, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backend.serving.wire.refusals import Refusal
    from backend.serving.wire.routes import Route
    from backend.serving.wire.shapes import Field, Record, Schema

KEPT_AT = Path("docs", "reference", "openapi.json")
_INTERFACE = "1"  # of the interface, as in the paths; not the program's version
_BINARY: Schema = {**TEXT, "format": "binary"}
_CELL: Schema = {**TEXT, "description": "A picture file as base64 text, or as a `data:` address."}
_HEADERS = (("WWW-Authenticate", "Always `Bearer`.", TEXT), ("Retry-After", "Seconds to wait.", WHOLE))
_SENT = {"WWW-Authenticate": {401}, "Retry-After": {429, 503}}  # with which statuses


@cache
def as_json(path: str = "") -> bytes:
    """Return the document as it is kept, or as it is served below a path."""
    below = {"servers": [{"url": path}]} if path else {}
    return (json.dumps({**document(), **below}, indent=2, ensure_ascii=False) + "\n").encode()


def document() -> dict[str, Any]:
    """Return the document as plain values."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Twinset endpoint",
            "version": _INTERFACE,
            "description": "Similar products for a picture. A token's scope is `watch`, `ask` or `all`; each covers "
            "those before it.",
        },
        "paths": {route.path: {route.method.lower(): _operation(route)} for route in ROUTES},
        "components": {
            "schemas": {record.name: _record(record) for record in RECORDS},
            "responses": _responses(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    schema = named(route.answer) if route.answer else {"type": "object"} if route.media_type == JSON else TEXT
    answer = {"description": route.title, "content": {route.media_type: {"schema": schema}}}
    return {
        "operationId": route.path.strip("/").replace("/", "_").replace(".", "_"),
        "summary": route.title,
        "security": [{"token": [route.scope]}] if route.scope else [],
        **_ASKED.get(route, {}),
        "responses": {"200": answer, **_refusals(route)},
    }


def _refusals(route: Route) -> dict[str, Any]:
    statuses = sorted({refusal.status for refusal in REFUSALS if refusal.group in route.refuses})
    return {str(status): {"$ref": f"#/components/responses/{_name(route, status)}"} for status in statuses}


def _responses() -> dict[str, Any]:
    """Return every refusal, by status and the groups of routes that share it."""
    of_route = [(route, refusal.status) for route in ROUTES for refusal in REFUSALS if refusal.group in route.refuses]
    return {_name(route, status): _refused(status, _of(route, status)) for route, status in of_route}


def _of(route: Route, status: int) -> list[Refusal]:
    return [refusal for refusal in REFUSALS if refusal.group in route.refuses and refusal.status == status]


def _name(route: Route, status: int) -> str:
    groups = dict.fromkeys(refusal.group for refusal in _of(route, status))
    return f"Refused{status}{''.join(group.title() for group in groups)}"


def _refused(status: int, refusals: Sequence[Refusal]) -> dict[str, Any]:
    codes = [refusal.code for refusal in refusals]
    code = {"properties": {"error": {"properties": {"code": {"enum": codes}}}}}
    described = [f"`{one.code}`: {one.meaning}" if one.code else one.meaning for one in refusals]
    return {
        "description": "\n".join(described),
        "headers": {
            name: {"description": meaning, "schema": kind} for name, meaning, kind in _HEADERS if status in _SENT[name]
        },
        "content": {JSON: {"schema": {"allOf": [named("Failure"), code]} if all(codes) else named("Failure")}},
    }


def _record(record: Record) -> dict[str, Any]:
    return {"description": record.meaning, **_object(record.fields)}


def _object(fields: Iterable[Field]) -> dict[str, Any]:
    listed_fields = tuple(fields)
    return {
        "type": "object",
        "properties": {field.name: {"description": field.meaning, **field.schema} for field in listed_fields},
        "required": [field.name for field in listed_fields if field.is_required],
        "additionalProperties": False,
    }


def _parameter(field: Field) -> dict[str, Any]:
    schema = listed(field.schema) if field.several else field.schema
    return {"name": field.name, "in": "query", "required": False, "description": field.meaning, "schema": schema}


def _form() -> dict[str, Any]:
    """Files under any name are asked about, but those called ``UNLIKE``."""
    files = {
        LIKE: listed(_BINARY, minItems=1, maxItems=MAX_PICTURES),
        UNLIKE: listed(_BINARY, maxItems=MAX_PICTURES - 1),
    }
    return {"type": "object", "properties": files, "required": [LIKE]}


def _invocation() -> dict[str, Any]:
    """Exactly one of the four formats, and parameters."""
    row = {"anyOf": [_CELL, listed(_CELL, minItems=1, maxItems=1), _column(_CELL)]}
    rows = listed(row, minItems=1)
    split = {
        "type": "object",
        "properties": {"columns": {"const": [INPUT]}, "data": rows},
        "required": ["columns", "data"],
    }
    shapes = dict.fromkeys(FORMATS, rows) | {
        "dataframe_split": split,
        "inputs": {"anyOf": [_CELL, rows, _column({"anyOf": [_CELL, rows]})]},
    }
    params = {**_object(PARAMS), "required": [], "type": ["object", "null"]}
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {name: shape, "params": params},
                "required": [name],
                "additionalProperties": False,
            }
            for name, shape in shapes.items()
        ]
    }


def _column(values: Schema) -> dict[str, Any]:
    return {"type": "object", "properties": {INPUT: values}, "required": [INPUT], "additionalProperties": False}


def _body(**by_type: Schema) -> dict[str, Any]:
    return {"required": True, "content": {name: {"schema": schema} for name, schema in by_type.items()}}


# What the routes that take pictures are asked.
_ASKED: dict[Route, dict[str, Any]] = {
    INVOCATIONS: {"requestBody": _body(**{JSON: _invocation()})},
    RECOMMEND: {
        "parameters": [_parameter(field) for field in QUESTION],
        "requestBody": _body(**{ANY_BYTES: _BINARY, FORM: _form()}),
    },
}


if __name__ == "__main__":
    KEPT_AT.parent.mkdir(parents=True, exist_ok=True)
    KEPT_AT.write_bytes(as_json())
