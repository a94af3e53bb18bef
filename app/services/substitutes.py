"""What the Substitutes page asks of the backend: what is sold out, the substitutes to check, and the last readiness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import streamlit as st

from app.services import common, deploy, rules
from backend.catalogue.fields import details_of
from backend.catalogue.sources.locations import keep_upload
from backend.catalogue.stock import STOCK_COLUMNS, in_stock, sold_out
from backend.errors import CatalogueNotFound
from backend.imaging import pixels
from backend.merchandising.merging import by_id
from backend.merchandising.substitutes.files import as_file, pins, price_difference
from backend.merchandising.substitutes.kept import Checks
from backend.registry.ledger import CHAMPION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backend.catalogue.items import Product
    from backend.merchandising.substitutes.files import FileKind
    from backend.merchandising.substitutes.kept import Check, Decision

_SIDE = 224  # pixels of a picture in the table


@dataclass(frozen=True, slots=True)
class Stock:
    """What a catalogue says of its stock, in products that it offers."""

    products: int
    sold_out: int
    unknown: int

    @property
    def is_stated(self) -> bool:
        """Whether any product states whether it is in stock."""
        return self.unknown < self.products


def searched() -> str:
    """Name of the catalogue that answers come from; empty where there is none yet, or it is not here."""
    champion = deploy.ledger().at(CHAMPION)
    name = champion.card.catalogue.name if champion is not None and champion.card is not None else ""
    return name if name in common.catalogues() else ""


def stock(catalogue: str) -> Stock:
    """What a catalogue says of its stock at its newest version."""
    return _stock(catalogue, common.snapshot(catalogue).version)


@st.cache_data(ttl=600, max_entries=4, show_spinner=False)
def _stock(catalogue: str, version: int) -> Stock:
    rows = common.snapshot(catalogue, version).columns(STOCK_COLUMNS, on_sale_only=True)
    out = sold_out(rows)
    return Stock(len(rows), int(out.sum()), int((~out & ~in_stock(rows)).sum()))


def check(catalogue: str) -> Check | None:
    """The substitutes found last, with what was decided; None where none were looked for.

    Raises:
        RetrievalError: They cannot be read.
    """
    try:
        return _checks(catalogue).load()
    except CatalogueNotFound:
        return None


def decide(catalogue: str, decisions: Sequence[Decision]) -> None:
    """Keep decisions."""
    _checks(catalogue).decide(decisions)


def shown(catalogue: str, ids: Sequence[str]) -> dict[str, Product]:
    """Products with small pictures, by id; those that the catalogue does not have any more are not among them."""
    return _shown(catalogue, common.snapshot(catalogue).version, tuple(sorted(set(ids))))


@st.cache_data(ttl=600, max_entries=16, show_spinner=False)
def _shown(catalogue: str, version: int, ids: tuple[str, ...]) -> dict[str, Product]:
    found = common.snapshot(catalogue, version).products(ids)
    return {one.product_id: replace(one, image=pixels.thumbnail(one.image, side=_SIDE)) for one in found}


def difference(own: Product, other: Product) -> float | None:
    """How much more the other product costs, percent; None where that cannot be told."""
    return price_difference(details_of(own), details_of(other))


def file_of(catalogue: str, kind: FileKind, *, unchecked: bool) -> bytes:
    """The substitutes as a file; errors are those of :func:`check`."""
    return as_file(_checks(catalogue).load(), common.snapshot(catalogue), kind, unchecked=unchecked)


def pin(catalogue: str, person: str) -> int:
    """Put a pin for each kept substitute into somebody's draft of the rules; returns how many.

    Raises:
        ChangedMeanwhile: The draft was changed in another window.
        RetrievalError: The rules are refused.
    """
    made = pins(_checks(catalogue).load(), owner=person)
    mine = rules.draft(catalogue, person)
    whole = by_id(rules.rules_of(catalogue, mine)) | by_id(made)
    rules.set_rules(catalogue, mine, whole.values())
    return len(made)


def keep_photos(name: str, data: BinaryIO) -> Path:
    """Keep an uploaded file of photos, for the job that reads it."""
    return keep_upload(common.settings(), name, data)


def readiness(catalogue: str) -> dict[str, Any] | None:
    """The figures of the last readiness; None where there are none."""
    return _checks(catalogue).readiness()


def is_old(catalogue: str, figures: dict[str, Any]) -> bool:
    """Whether the catalogue has changed since a readiness was measured."""
    return bool(figures["version"] != common.snapshot(catalogue).version)


def today() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def _checks(catalogue: str) -> Checks:
    return Checks(common.settings().substitutes_dir, catalogue)
