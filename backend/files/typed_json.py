"""JSON that may come from anywhere, read as the dataclass it should be: every value is of the type that the field names."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

LARGEST = 2**53  # whole numbers up to here are the same to every reader of JSON
_PLAIN = frozenset({str, int, float, bool})
_MOST_PARTS = 100_000  # lists and records; a manifest has some twenty, and texts may have brackets in them


def parsed(data: str | bytes) -> Any:
    """Read JSON text, UTF-8; raises ValueError or RecursionError where it is none, or names something twice."""
    text = data.decode() if isinstance(data, bytes) else data
    if text.count("[") + text.count("{") > _MOST_PARTS:  # a million empty lists take seconds
        raise ValueError("too many parts")
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def built(kind: Any, raw: Any, where: str) -> Any:
    """Build a value of a type from JSON values; raises ValueError or TypeError where one is of another type."""
    if kind in _PLAIN and type(raw) is kind:  # most values are
        return _plain(raw, where)
    if is_dataclass(kind) and isinstance(kind, type):
        return _record(kind, raw, where)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if raw is None else built(next(one for one in inner if one is not NoneType), raw, where)
    if origin is tuple and isinstance(raw, list):
        return tuple(built(inner[0], one, where) for one in raw)
    if origin is dict and isinstance(raw, dict):
        return {built(str, name, where): built(inner[1], value, where) for name, value in raw.items()}
    if not _is_of(kind, raw):
        raise ValueError(f"{where} has an invalid value")
    return _plain(raw, where)


def _is_of(kind: Any, raw: Any) -> bool:
    """Whether a JSON value is of a plain type, exactly: true is no number."""
    if get_origin(kind) is Literal:
        return any(type(raw) is type(one) and raw == one for one in get_args(kind))
    return kind is Any or type(raw) in ({int, float} if kind is float else {kind})


def _record(kind: Any, raw: Any, where: str) -> Any:
    if not isinstance(raw, dict):
        raise TypeError(f"{where} is not a record")
    hints, needed = _hints(kind)
    if unknown := raw.keys() - hints.keys():
        raise ValueError(f"{where} has no field {min(unknown)!r:.40}")
    if missing := needed - raw.keys():
        raise ValueError(f"{min(missing)} is missing")
    return kind(**{name: built(hints[name], value, name) for name, value in raw.items()})


@lru_cache
def _hints(kind: Any) -> tuple[dict[str, Any], frozenset[str]]:
    without = (item for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING)
    return get_type_hints(kind), frozenset(item.name for item in without)


def _plain(raw: Any, where: str) -> Any:
    """Check that a JSON value can be written again: texts without halves of characters, numbers that are some."""
    if isinstance(raw, str):
        raw.encode()  # a lone surrogate raises UnicodeEncodeError, which is a ValueError
    elif isinstance(raw, dict):
        for name, value in raw.items():
            _plain(name, where)
            _plain(value, where)
    elif isinstance(raw, list):
        for value in raw:
            _plain(value, where)
    elif type(raw) in {int, float} and not abs(raw) <= LARGEST**2:  # neither is NaN
        raise ValueError(f"{where} has an invalid number")
    return raw
