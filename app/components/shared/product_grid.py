"""Products as a responsive grid of cards; a click on a card returns its product_id.

One custom element for the whole grid instead of several Streamlit elements a card: in headless Chromium, 24 cards are
painted in about half the time, and a click needs no page load. Text travels as data and is set as text, never as markup.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import navigation, state, words
from app.components.shared.scripted import scripted
from backend.catalogue.fields import PRODUCT_FIELDS
from backend.catalogue.prices import price_text
from backend.errors import ImageRejected
from backend.imaging import pixels
from backend.serving.answers import NOT_CLOSE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from backend.catalogue.items import Product
    from backend.serving.client import AnswerNeighbour

_BY_BROWSERS = {"PNG", "JPEG", "WEBP"}
THUMBS = ("Similar", "Not similar")  # small buttons that the script draws as thumbs, up and down
_AS_IT_IS_BYTES = 100_000  # larger pictures are sent small
_DETAILS = "Details"
_SIDE = 320  # pixels of those, enough for a card on a sharp screen


@dataclass(frozen=True, slots=True)
class Card:
    """What one card shows.

    Attributes:
        image: The encoded picture; None shows a placeholder.
        badges: Short words on the picture, e.g. that the product is withdrawn.
        group: A heading is put before the first card of each group; cards of a group are together.
        pair: For a card with two pictures side by side, what each is and the picture; ``image`` is not shown then.
        closeness: How like what was asked about it is, in words; only on the card of a neighbour.
        moved: How rules changed its place; empty where they did not.
        pressed: Titles of its small buttons that are on.
        similarity, distance: The same in figures, where they are wanted.
    """

    id: str
    image: bytes | None
    title: str
    lines: tuple[str, ...] = ()
    price: str = ""
    rank: int | None = None
    closeness: str = ""
    moved: str = ""
    pressed: tuple[str, ...] = ()
    similarity: float | None = None
    distance: float | None = None
    badges: tuple[str, ...] = ()
    group: str = ""
    pair: tuple[tuple[str, bytes | None], ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return what the browser is sent."""
        data: dict[str, Any] = {
            "id": self.id,
            "src": data_uri(self.image),
            "badges": list(self.badges),
            "group": self.group,
            "pair": [{"caption": caption, "src": data_uri(image)} for caption, image in self.pair],
            "title": self.title,
            "lines": list(self.lines),
            "price": self.price,
            "rank": "" if self.rank is None else str(self.rank),
            "closeness": self.closeness,
            "moved": self.moved,
            "pressed": list(self.pressed),
        }
        if self.similarity is not None and self.distance is not None:
            data |= {
                "percent": round(min(max(self.similarity, 0.0), 1.0) * 100, 1),
                "percent_text": words.percent(max(self.similarity, 0.0), digits=1),
                "detail": f"similarity {self.similarity:.3f}\ndistance {self.distance:.3f}",
            }
        return data


def show(
    cards: Iterable[Card],
    *,
    key: str,
    action: str = "",
    on_pick: Callable[[str], None] | None = None,
    small: Mapping[str, Callable[[str], None]] | None = None,
    details: str = "",
    on_move: Callable[[str, int], None] | None = None,
) -> str | None:
    """Show the cards in order and return the product_id of the one just clicked.

    Args:
        cards: What to show.
        key: Name of the grid, unique on the page.
        action: What a click does, read by screen readers and shown on hover; without it cards cannot be clicked.
        on_pick: Called with the product_id before the page runs again, so that this run shows its effect already.
        small: Small buttons below each card, by what they do; each is called as ``on_pick`` is.
        details: Catalogue of the products: a small button opens the page of a product.
        on_move: Called with the product_id and the place, from 1, that a card was dragged or moved to by its menu; without
            it cards stay where they are.
    """

    def picked() -> None:
        product_id = state.picked(key)
        if on_pick is not None and product_id:
            on_pick(product_id)

    buttons = small or {}

    def pressed() -> None:
        title, product_id = state.pressed(key)
        if title in buttons and product_id:
            buttons[title](product_id)

    def moved() -> None:
        product_id, place = state.sent(key, "moved") or ("", 1)
        if on_move is not None and product_id:
            on_move(product_id, place)

    titles = [*buttons, *([_DETAILS] if details else [])]
    shown = [card.as_data() for card in cards]
    data = {"cards": shown, "action": action, "small": titles, "movable": on_move is not None}
    component = scripted("product_grid", '<ol class="grid"></ol>')
    result = component(key=key, data=data, on_picked_change=picked, on_pressed_change=pressed, on_moved_change=moved)
    if details:
        _open_details(result.pressed, details)
    found: str | None = result.picked
    return found


def _open_details(pressed: tuple[str, str] | None, catalogue: str) -> None:
    title, product_id = pressed or ("", "")
    if title == _DETAILS:
        navigation.go("product", {state.PRODUCT: product_id, "catalogue": catalogue})


def neighbour_card(
    neighbour: AnswerNeighbour, *, figures: bool = False, moved: str = "", pressed: tuple[str, ...] = ()
) -> Card:
    """Return the card of one answered neighbour: how close it is in words, and in figures where these are wanted."""
    return Card(
        id=neighbour.product_id,
        image=neighbour.image,
        title=_title(neighbour),
        lines=(*_lines(neighbour), *(_likely(neighbour) if figures else ())),
        price=price_text(neighbour),
        rank=neighbour.rank,
        closeness=(neighbour.closeness or "").capitalize(),
        moved=moved,
        pressed=pressed,
        similarity=neighbour.similarity if figures else None,
        distance=neighbour.distance if figures else None,
        badges=(
            *([f"+{len(neighbour.hidden)} alike"] if neighbour.hidden else []),
            *([_which(neighbour)] if neighbour.picture else []),
        ),
    )


def _which(neighbour: AnswerNeighbour) -> str:
    """Say by which picture a product was found; an endpoint of an earlier version does not say of how many."""
    of = f" of {neighbour.pictures}" if neighbour.pictures > neighbour.picture else ""
    return f"Picture {neighbour.picture + 1}{of}"


def _likely(neighbour: AnswerNeighbour) -> tuple[str, ...]:
    """Say how likely a product is of the same kind, which one that is not close never is."""
    if neighbour.probability is None or neighbour.closeness == NOT_CLOSE:
        return ()
    return (f"{words.percent(neighbour.probability)} likely the same kind",)


def product_card(product: Product) -> Card:
    """Return the card of one product of the catalogue."""
    return Card(
        id=product.product_id,
        image=product.image,
        title=_title(product),
        lines=_lines(product),
        price=price_text(product),
        badges=("Withdrawn",) if product.is_withdrawn else (),
    )


def _title(item: Product | AnswerNeighbour) -> str:
    return item.title or item.label or words.from_id(item.product_id)


def shown(image: bytes | None) -> bytes | None:
    """Return bytes that came from outside as a small picture; None where they are none that can be shown."""
    if image is None:
        return None
    try:
        return _small(image)
    except ImageRejected:
        return None  # whoever shows it says why


@st.cache_data(ttl=600, max_entries=256, show_spinner=False)
def _small(image: bytes) -> bytes:
    return pixels.thumbnail(image, side=_SIDE)


def data_uri(image: bytes | None, *, as_it_is: bool = False) -> str:
    """Return an encoded picture as a data URI, small unless ``as_it_is``; empty without a picture."""
    if image is None:
        return ""
    if len(image) > _AS_IT_IS_BYTES and not as_it_is:
        image = shown(image) or image
    image = for_browsers(image)
    kind = pixels.kind_of(image) or "PNG"
    return f"data:image/{kind.lower()};base64,{base64.b64encode(image).decode('ascii')}"


def for_browsers(image: bytes) -> bytes:
    """Return a picture in a format that every browser shows: HEIC, TIFF and the like come back small, as WEBP."""
    return image if pixels.kind_of(image) in _BY_BROWSERS else shown(image) or image


def _lines(item: Product | AnswerNeighbour) -> tuple[str, ...]:
    """Label and id, then what cards name of it; the label is not said twice where it stands for a title."""
    named = (item.label if item.title else "", item.product_id)
    made = tuple(getattr(item, one.name) for one in PRODUCT_FIELDS if one.is_on_card)
    return tuple(" · ".join(part for part in line if part) for line in (named, made) if any(line))
