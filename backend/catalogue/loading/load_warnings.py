"""What a load emptied or guessed of products that it keeps: counted by kind, and told in sentences.

An entry carries them as lines of ``code: value``; what a product cannot be loaded without is a reason instead, which
rejects it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SHOWN = 40  # letters of a value
# The sentence of each kind, for one product and for several; {value} is the first of those values.
_SENTENCES = {
    "bad_price": (
        "One product is loaded without a price: “{value}” is not a price.",
        "{count} products are loaded without a price: their prices cannot be read, for example “{value}”.",
    ),
    "bad_stock": (
        "One product is loaded without a stock figure: “{value}” is not a whole number of 0 or more.",
        "{count} products are loaded without a stock figure: their figures are not whole numbers, for example “{value}”.",
    ),
    "bad_sale_price": (
        "One product is loaded without its sale price: “{value}” is not a price.",
        "{count} products are loaded without their sale prices: they cannot be read, for example “{value}”.",
    ),
    "bad_currency": (
        "One product is loaded without a currency: “{value}” is not a known one.",
        "{count} products are loaded without a currency: theirs are not known, for example “{value}”.",
    ),
    "bad_availability": (
        "One product is loaded without its availability: “{value}” is not a known word for it.",
        "{count} products are loaded without their availability: the words for it are not known, for example “{value}”.",
    ),
    "rounded_id": (
        "One product id was rounded by a spreadsheet, and its last digits are lost: “{value}”.",
        "{count} product ids were rounded by a spreadsheet, and their last digits are lost, for example “{value}”.",
    ),
    "open_quote": (
        "One row had a quote that was never closed; it was ended at the end of its line.",
        "{count} rows had a quote that was never closed; each was ended at the end of its line.",
    ),
    "long_label": (
        "One label is cut to 200 characters: “{value}…”. Is the right column the label?",
        "{count} labels are cut to 200 characters, for example “{value}…”. Is the right column the label?",
    ),
    "unknown_split": (
        "Twinset chooses what one product is used for: “{value}” is not a known use.",
        (
            "Twinset chooses what {count} products are used for: the source names uses that do not exist, for example "
            "“{value}”."
        ),
    ),
    "several_pictures": (
        "One product names several pictures; the first one is its main picture.",
        "{count} products name several pictures; the first of each is its main picture.",
    ),
    "further_unread": (
        "One further picture cannot be used and is left out: “{value}”.",
        "{count} further pictures cannot be used and are left out, for example “{value}”.",
    ),
    "found_by_name": (
        "One picture was found by its file name alone, in another folder than the table says.",
        "{count} pictures were found by their file names alone, in other folders than the table says.",
    ),
}


def warning(code: str, value: str = "") -> str:
    """Return one warning as an entry carries it."""
    return f"{code}: {' '.join(value.split())[:_SHOWN]}"


def warned_too(warnings: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.Array:
    """Return the warnings of entries with further ones behind them."""
    pairs = zip(warnings.to_pylist(), others.to_pylist(), strict=True)
    return pa.array(["\n".join(filter(None, pair)) or None for pair in pairs], pa.string())


def counted(entries: pa.Table) -> dict[str, int]:
    """Count the warnings of usable entries (columns ``warning`` and ``reason``) by their code."""
    return dict(sorted(Counter(line.partition(":")[0] for line in _lines(entries)).items()))


def sentences(entries: pa.Table) -> list[str]:
    """Return a sentence for each kind of warning that usable entries carry."""
    first: dict[str, str] = {}
    for line in _lines(entries):
        code, _, value = line.partition(":")
        first.setdefault(code, value.strip())
    return [_sentence(code, count, first) for code, count in counted(entries).items()]


def _sentence(code: str, count: int, first: Mapping[str, str]) -> str:
    one, several = _SENTENCES[code]
    return (one if count == 1 else several).format(count=f"{count:,}", value=first[code])


def _lines(entries: pa.Table) -> Iterable[str]:
    if "warning" not in entries.column_names:  # a check that an earlier version kept
        return []
    usable = entries.filter(pc.is_null(entries["reason"]))
    return [line for cell in usable["warning"].drop_null().to_pylist() for line in cell.splitlines()]
