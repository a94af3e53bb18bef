"""What is known of a product: its pictures, its price, whether it can be bought, every other field, and its variants."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import streamlit as st

from app import navigation, notices, state, words
from app.components.product.state import open_product
from app.components.shared import product_grid
from app.components.shared.product_grid import Card
from app.services.shop import product as products
from app.words import plain
from backend.catalogue.fields import PRODUCT_FIELDS
from backend.catalogue.prices import price_text
from backend.catalogue.stock import is_sold_out

if TYPE_CHECKING:
    from app.services.shop.product import Shown
    from backend.catalogue.items import Product
    from backend.catalogue.upkeep.product_history import ProductHistory

# Shown in a place of their own, or of no use to whoever reads them.
_APART = frozenset({"title", "price", "sale_price", "currency", "stock", "availability", "url"})


def show(catalogue: str, found: Shown) -> None:
    """Show the pictures beside the facts; on a phone above them."""
    pictures, facts = st.columns([5, 6], gap="large")
    with pictures:
        _pictures(catalogue, found)
    with facts:
        _facts(catalogue, found.product)


def show_absence(history: ProductHistory, *, is_withdrawn: bool) -> None:
    """Say that a product is gone or withdrawn, and since when."""
    if (gone := history.gone) is not None:
        st.warning(
            f"This product is no longer in the catalogue since version {gone.entry.version:d} "
            f"({plain(words.moment(gone.entry.committed_at))}). You see it as it was in version {gone.before:d}.",
            icon=":material/delete:",
        )
    elif is_withdrawn:
        since = history.withdrawn
        when = (
            f" since version {since.entry.version:d} ({plain(words.moment(since.entry.committed_at))})" if since else ""
        )
        st.warning(
            f"This product is withdrawn{when}: its source no longer names it, and answers no longer show it once the "
            "search is up to date.",
            icon=":material/block:",
        )


def _pictures(catalogue: str, found: Shown) -> None:
    """Show one picture large, and all of them to choose from where there are several."""
    name = found.product.product_id
    images = [found.product.image]
    with notices.guarded():
        images += products.further_pictures(catalogue, found.version, name)
    key = f"picture-{name}"
    at = min(int(state.noted(key) or 0), len(images) - 1)
    picture = product_grid.for_browsers(images[at])
    st.image(picture, width="stretch", caption=f"Picture {at + 1:d} of {len(images):d}" if len(images) > 1 else None)
    if len(images) > 1:
        cards = [Card(str(number), image, f"Picture {number + 1}") for number, image in enumerate(images)]
        product_grid.show(
            cards, key="product_pictures", action="Enlarge", on_pick=lambda number: state.note(key, int(number))
        )


def _facts(catalogue: str, product: Product) -> None:
    price = price_text(product)
    if price:
        st.markdown(f"### {plain(price)}")
    with st.container(horizontal=True):
        _stock(product)
    rows = [("Product id", product.product_id), *([("Label", words.label(product.label))] if product.label else [])]
    rows += [
        (one.title, str(value))
        for one in PRODUCT_FIELDS
        if one.name not in _APART and (value := getattr(product, one.name)) is not None
    ]
    st.markdown("  \n".join(f"{plain(title)}: **{plain(value)}**" for title, value in rows))
    with st.container(horizontal=True):
        navigation.link("recommend", "Find similar", {state.PRODUCT: product.product_id})
        if address := shop_address(product.url):
            st.link_button("Open in the shop", address, icon=":material/open_in_new:")
    if product.group_id:
        _variants(catalogue, product)


def _stock(product: Product) -> None:
    is_out = is_sold_out(product)
    if product.stock is not None:
        st.badge(f"{product.stock:,} in stock", color="red" if is_out else "green")
    if product.availability:
        st.badge(plain(product.availability.capitalize()), color="red" if is_out else "green")


def shop_address(url: str | None) -> str:
    """Return the address of a product's page in the shop; empty where it is none that a browser should open."""
    try:
        parts = urlsplit((url or "").strip())
    except ValueError:
        return ""
    return parts.geturl() if parts.scheme in {"http", "https"} and parts.netloc else ""


def _variants(catalogue: str, product: Product) -> None:
    version = products.newest(catalogue)
    found, total = products.variants(catalogue, version, product.product_id, product.group_id or "")
    if not found:
        return
    more = f", of which {len(found)} are shown" if total > len(found) else ""
    st.markdown(f"**{words.count(total, 'other variant')}**{more}")
    cards = map(product_grid.product_card, found)
    product_grid.show(cards, key="variants", action="Show this variant", on_pick=open_product)
