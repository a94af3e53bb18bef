"""Which products may be answered: the filters of a question, as data, and the reading of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from backend.catalogue.fields import filters_of
from backend.errors import RetrievalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    FilterValue = str | Sequence[str] | float | bool
    Filters = Mapping[str, FilterValue]

# Exact match on the column of that name; several values mean any of them.
TEXT_FILTERS = (*filters_of("values"), "label", "product_id")
NUMBER_FILTERS = filters_of("range")
FLAG_FILTERS = filters_of("presence")
FILTERS = (*TEXT_FILTERS, *NUMBER_FILTERS, *FLAG_FILTERS)
COLLECTION = "collection"  # what the endpoint takes instead of product ids, and looks up

_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_SHOWN = 40  # characters of a foreign text that a message quotes


def check_filters(filters: Filters) -> dict[str, Any]:
    """Read filters as they come from a caller or a query string.

    Text filters become tuples of texts, prices finite numbers, flags booleans. A product whose column is empty passes
    no filter on it, except ``in_stock=false``, which asks for what is not known to be there.

    Raises:
        RetrievalError: A filter is unknown, or its value cannot be read as what it should be.
    """
    return {name: _read(name, value) for name, value in filters.items()}


def _read(name: str, value: FilterValue) -> Any:
    if name in TEXT_FILTERS:
        return _texts(name, value)
    if name in NUMBER_FILTERS:
        return _number(name, value)
    if name in FLAG_FILTERS:
        return read_flag(name, value)
    raise RetrievalError(f"There is no filter {name[:_SHOWN]!r}.", next_step=f"Filters are {', '.join(FILTERS)}.")


def _texts(name: str, value: FilterValue) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) for text in texts):
        raise RetrievalError(f"The filter {name} needs a text value.", next_step=f"Write it as {name}=… with a value.")
    return tuple(texts)


def _number(name: str, value: FilterValue) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise RetrievalError(f"The filter {name} needs a number.", next_step=f"Write it as {name}=19.90.")
    return number


def read_flag(name: str, value: FilterValue) -> bool:
    """Read what is true or false; raises RetrievalError where it is neither."""
    flag = value if isinstance(value, bool) else _FLAGS.get(str(value).lower())
    if flag is None:
        raise RetrievalError(f"{name} must be true or false.", next_step=f"Write it as {name}=true.")
    return flag
