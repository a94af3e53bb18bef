"""Cards for people at the back of a room: no ids, brands or badges."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.components.shared import product_grid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.components.shared.product_grid import Card
    from backend.catalogue.items import Product
    from backend.serving.client import AnswerNeighbour


def of_answer(neighbours: Iterable[AnswerNeighbour], *, marked: str = "", mark: str = "") -> list[Card]:
    """Return the cards of an answer, with a mark on one product."""
    told = {marked: mark}
    return [_plain(product_grid.neighbour_card(one, moved=told.get(one.product_id, ""))) for one in neighbours]


def of_products(products: Iterable[Product]) -> list[Card]:
    """Return the cards of products of the catalogue."""
    return [_plain(product_grid.product_card(one)) for one in products]


def _plain(card: Card) -> Card:
    return replace(card, lines=(), badges=())
