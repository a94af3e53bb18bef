"""Checked substitutes as files for people, in the layouts that shops import, and as pins in a draft of the rules."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.files.sheet_text import as_csv, guarded
from backend.files.workbook import as_workbook
from backend.merchandising.similar.layouts import DETAILS, Layout, Listed
from backend.retrieval.rules.rule import NAMED_BY, Rule, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backend.catalogue.snapshot import Snapshot
    from backend.merchandising.substitutes.kept import Check

FileKind = Literal["csv", "xlsx", "shopify", "woocommerce"]
FILE_KINDS: tuple[FileKind, ...] = get_args(FileKind)
_SHOWN = ("title", *NAMED_BY, "price", "sale_price", "currency", "stock")
HEADER = (
    "product_id",
    "substitute_id",
    "decision",
    "similarity",
    "price_difference_percent",
    *_SHOWN,
    *(f"substitute_{name}" for name in _SHOWN),
)
_DECIDED: dict[str, str] = {"keep": "kept", "": "not checked"}


@use_case(
    "substitutes.export",
    Role.MERCHANDISER,
    about=lambda check, snapshot, kind, **_: words(
        catalogue=check.about.catalogue, version=snapshot.version, kind=kind
    ),
)
def as_file(check: Check, snapshot: Snapshot, kind: FileKind, *, unchecked: bool = False) -> bytes:
    """Return the substitutes that were kept, and, where wanted, those that were not checked, as a file.

    Args:
        check: What was found and decided.
        snapshot: The catalogue, which says what the products are now.
        kind: Of the file; Shopify and WooCommerce get what changes, and photos, which no shop has, are left out.
        unchecked: Whether what was not checked is in it as well.
    """
    if kind == "shopify" or kind == "woocommerce":  # noqa: PLR1714 - what the type checker follows
        return as_csv(_for_shop(check, snapshot, kind, unchecked=unchecked), is_for_people=False).encode()
    rows = [HEADER, *_rows(check, snapshot, unchecked=unchecked)]
    return as_workbook([*map(guarded, row)] for row in rows) if kind == "xlsx" else as_csv(rows).encode()


def price_difference(own: dict[str, Any], other: dict[str, Any]) -> float | None:
    """Return how much more another product costs, percent; None where a price is missing or currencies differ."""
    paid, asked = (one.get("sale_price") or one.get("price") for one in (own, other))
    if not paid or asked is None or own.get("currency") != other.get("currency"):
        return None
    return round(100.0 * (float(asked) / float(paid) - 1.0), 1)


@use_case("substitutes.pin", Role.MERCHANDISER, about=lambda check, **_: words(catalogue=check.about.catalogue))
def pins(check: Check, *, owner: str = "") -> list[Rule]:
    """Return a pin for each product whose substitute was kept, at the first place of answers about that product.

    The same product gets a rule of the same id each time, so that a later check replaces it.
    """
    photos = check.rows["photo"].is_valid().to_pylist()
    return [
        Rule(
            f"substitute-{hashlib.sha256(one.product_id.encode()).hexdigest()[:16]}",
            "pin",
            Scope("product", (one.product_id,)),
            (one.twin,),
            slot=1,
            reason="Substitute",
            owner=owner,
        )
        for at, one in check.kept()
        if not photos[at]
    ]


def _rows(check: Check, snapshot: Snapshot, *, unchecked: bool) -> Iterable[Sequence[Any]]:
    chosen = check.kept(unchecked=unchecked)
    details = _details(snapshot, [name for _, one in chosen for name in (one.product_id, one.twin)], _SHOWN)
    twins, similarities = check.rows["twins"], check.rows["similarities"]
    for at, one in chosen:
        own, other = details.get(one.product_id, {}), details.get(one.twin, {})
        similarity = similarities[at].as_py()[twins[at].as_py().index(one.twin)]
        head = (one.product_id, one.twin, _DECIDED[one.decided], round(similarity, 4), price_difference(own, other))
        yield (*head, *(own.get(name) for name in _SHOWN), *(other.get(name) for name in _SHOWN))


def _for_shop(
    check: Check, snapshot: Snapshot, kind: Literal["shopify", "woocommerce"], *, unchecked: bool
) -> Iterable[Sequence[Any]]:
    photos = check.rows["photo"].is_valid().to_pylist()
    chosen = [one for at, one in check.kept(unchecked=unchecked) if not photos[at]]
    details = _details(snapshot, [name for one in chosen for name in (one.product_id, one.twin)], DETAILS)
    layout = Layout(kind, 1, {name: one["group_id"] for name, one in details.items() if one["group_id"]})
    yield layout.header
    for one in chosen:
        mine = details.get(one.product_id, {})
        yield from layout.rows_of(Listed(one.product_id, [{"similar_id": one.twin}], mine))


def _details(snapshot: Snapshot, ids: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    rows = snapshot.columns(["product_id", *names])
    rows = rows.filter(pc.is_in(rows["product_id"], value_set=pa.array(ids, pa.string())))
    return {row.pop("product_id"): row for row in rows.to_pylist()}
