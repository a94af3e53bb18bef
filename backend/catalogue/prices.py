"""What a product costs, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.catalogue.fields import Details


def price_text(item: Details) -> str:
    """Return what a product costs; on sale, the price before it in brackets."""
    price, reduced = amount(item, "price"), amount(item, "sale_price")
    return f"{reduced} (was {price})" if reduced and price else reduced or price


def amount(item: Details, name: str) -> str:
    """Return one of a product's prices with two decimals and its currency; where none is stated, none is invented."""
    value = getattr(item, name)
    return "" if value is None else f"{value:,.2f} {item.currency or ''}".rstrip()
