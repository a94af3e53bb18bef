"""A collection as a sheet: one HTML file with small pictures in it, which a browser prints to PDF on A4."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.catalogue.fields import PRODUCT_FIELDS
from backend.catalogue.prices import price_text
from backend.errors import ImageRejected
from backend.imaging import pixels
from backend.merchandising.collections.exports import products_of

if TYPE_CHECKING:
    from backend.catalogue.items import Product
    from backend.catalogue.snapshot import Snapshot
    from backend.merchandising.collections.collection import Collection

_SIDE = 360  # pixels of a picture: 5 cm at 180 dpi
_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1b1f24; background: #fff;
  font: 14px/1.4 system-ui, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif; }
header { border-bottom: 2px solid #1b1f24; padding-bottom: .6rem; margin-bottom: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .2rem; overflow-wrap: anywhere; }
header p { margin: .15rem 0; color: #57606a; overflow-wrap: anywhere; }
header p.note { color: #1b1f24; white-space: pre-wrap; }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
li { border: 1px solid #d0d7de; border-radius: 8px; overflow: hidden; break-inside: avoid; }
.picture { position: relative; aspect-ratio: 1; background: #f6f8fa; display: flex; align-items: center; justify-content: center;
  color: #57606a; }
.picture img { width: 100%; height: 100%; object-fit: contain; }
.place { position: absolute; left: .5rem; top: .5rem; min-width: 1.7rem; padding: .1rem .4rem; border-radius: 1rem;
  background: #fff; border: 1px solid #d0d7de; text-align: center; font-weight: 600; font-size: .8rem; color: #1b1f24; }
.text { padding: .6rem .7rem .7rem; overflow-wrap: anywhere; }
.title { font-weight: 600; }
.small { color: #57606a; font-size: .85rem; }
.price { font-weight: 600; margin-top: .2rem; }
.comment { margin-top: .4rem; padding: .4rem .5rem; background: #fff8e1; border-left: 3px solid #d4a72c; white-space: pre-wrap;
  font-size: .9rem; }
.gone { color: #9a3412; }
@page { size: A4; margin: 16mm 12mm; }
@media print {
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  body { margin: 0; max-width: none; padding: 0; font-size: 10pt; }
  ol { grid-template-columns: repeat(4, 1fr); gap: 4mm; }
  .picture { aspect-ratio: auto; height: 42mm; }
  header { break-after: avoid; }
}
"""


@use_case(
    "collections.export",
    Role.MERCHANDISER,
    about=lambda one, snapshot: words(
        catalogue=snapshot.name, version=snapshot.version, collection=one.id, kind="sheet"
    ),
)
def as_sheet(one: Collection, snapshot: Snapshot) -> str:
    """Return the page: name, state and date, and a card for each product with picture, title, price and comment.

    Products that the catalogue does not have are shown as gone, in their place.
    """
    made = datetime.now(UTC)
    cards = {item.product_id: _shown(item) for item in products_of(one, snapshot)}
    comments = one.comment_of
    items = "".join(
        _card(place, cards.get(name) or _missing(name), comments.get(name, ""))
        for place, name in enumerate(one.products, 1)
    )
    name, lacking = escape(one.name), len(one.products) - len(cards)
    facts = [
        f"{len(one.products):,} products",
        f"{lacking:,} no longer in the catalogue" if lacking else "",
        _state(one),
    ]
    about = " · ".join(escape(part) for part in (*facts, f"Printed from {snapshot.name}, {made:%d %b %Y}") if part)
    note = f'<p class="note">{escape(one.note)}</p>' if one.note else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}{_running(one, made)}</style></head>\n<body><header><h1>{name}</h1><p>{about}</p>{note}</header>\n"
        f"<ol>{items}</ol></body></html>\n"
    )


def _state(one: Collection) -> str:
    if not one.is_approved:
        return "Draft"
    when = datetime.fromisoformat(one.approved_at)
    return f"Approved by {one.approved_by} on {when:%d %b %Y}"


def _running(one: Collection, made: datetime) -> str:
    """Return the style of what every printed page says in its margins: name, date, and which page it is."""
    font = "font: 8pt system-ui, Arial, sans-serif; color: #57606a;"
    return (
        f'@page {{ @top-left {{ content: "{_in_style(one.name)}"; {font} }} '
        f'@top-right {{ content: "{made:%d %b %Y}"; {font} }} '
        f'@bottom-right {{ content: counter(page) " / " counter(pages); {font} }} }}'
    )


def _in_style(text: str) -> str:
    """Return text as it may be between the quotes of a style: every sign by its number, so that none ends anything."""
    return "".join(sign if sign.isalnum() and sign.isascii() else f"\\{ord(sign):06x}" for sign in text)


def _card(place: int, inner: str, comment: str) -> str:
    said = f'<div class="comment">{escape(comment)}</div>' if comment else ""
    return f'<li><div class="picture"><span class="place">{place}</span>{inner}{said}</div></li>\n'


def _shown(product: Product) -> str:
    on_card = (getattr(product, one.name) for one in PRODUCT_FIELDS if one.is_on_card)
    made = " · ".join(str(part) for part in (*on_card, product.product_id) if part)
    title = product.title or product.label or product.product_id
    withdrawn = '<div class="small gone">Withdrawn</div>' if product.is_withdrawn else ""
    return (
        f'{_picture(product)}</div><div class="text"><div class="title">{escape(title)}</div>'
        f'<div class="small">{escape(made)}</div>{withdrawn}<div class="price">{escape(price_text(product))}</div>'
    )


def _missing(product_id: str) -> str:
    return (
        f'No picture</div><div class="text"><div class="title">{escape(product_id)}</div>'
        '<div class="small gone">No longer in the catalogue</div>'
    )


def _picture(product: Product) -> str:
    try:
        small = pixels.thumbnail(product.image, side=_SIDE, keeps_png=False, kind="JPEG")
    except ImageRejected:
        return "No picture"
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(small).decode("ascii")}">'
