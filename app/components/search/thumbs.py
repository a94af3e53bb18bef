"""Thumbs up and down on results: kept with the approved examples, which every later change must still find, or leave out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from app import notices
from app.components.shared.product_grid import THUMBS
from app.services import deploy

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.components.search.query_panel import Query
    from backend.registry.golden import GoldenQuery
    from backend.serving.client import Answer


@dataclass(frozen=True, slots=True)
class Thumbs:
    """What is marked for the picture asked about, and the buttons that mark; none where nothing can be marked."""

    known: GoldenQuery | None
    buttons: dict[str, Callable[[str], None]]

    def of(self, product_id: str) -> tuple[str, ...]:
        """Return the buttons that are on at a product."""
        if self.known is None:
            return ()
        marked = zip(THUMBS, (self.known.products, self.known.forbidden), strict=True)
        return tuple(title for title, ids in marked if product_id in ids)


def of(query: Query, answer: Answer, *, is_plain: bool) -> Thumbs:
    """Return the thumbs of an answer; a question with a part, filters or wishes has none: examples are asked without them."""
    if not is_plain or not answer.catalogue:
        return Thumbs(None, {})
    up, down = (partial(_mark, query, answer, is_similar) for is_similar in (True, False))
    return Thumbs(deploy.golden_query_of(query.image), dict(zip(THUMBS, (up, down), strict=True)))


def _mark(query: Query, answer: Answer, is_similar: bool, product_id: str) -> None:  # noqa: FBT001 - handed on by a button
    with notices.guarded():
        deploy.mark(query.name, query.image, answer, product_id, is_similar=is_similar)
