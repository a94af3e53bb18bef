"""The one list of pages, in the order of the flow; the page that merchandisers use comes first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import identity
from app.words import plain
from backend.access.person import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).resolve().parents[1] / "pages"


@dataclass(frozen=True, slots=True)
class PageEntry:
    """One page: its file's stem, its place in the menu, and what it is for."""

    name: str
    title: str
    icon: str
    section: str
    help: str
    role: Role = Role.VIEWER  # the least that has a use for it
    is_for_shop: bool = False  # read by merchandisers: no command, no setting, no word of machine learning


PAGES: tuple[PageEntry, ...] = (
    PageEntry(
        "recommend",
        "Find similar",
        ":material/image_search:",
        "Shop",
        "Products that look like a photo",
        is_for_shop=True,
    ),
    PageEntry(
        "rules",
        "Rules",
        ":material/rule:",
        "Shop",
        "Pins, boosts and blocks on answers",
        Role.MERCHANDISER,
        is_for_shop=True,
    ),
    PageEntry(
        "substitutes",
        "Substitutes",
        ":material/swap_horiz:",
        "Shop",
        "Products in stock for those that are sold out",
        Role.MERCHANDISER,
        is_for_shop=True,
    ),
    PageEntry(
        "collections",
        "Collections",
        ":material/collections_bookmark:",
        "Shop",
        "Products put together, in order and with comments",
        Role.MERCHANDISER,
        is_for_shop=True,
    ),
    PageEntry(
        "product", "Product", ":material/sell:", "Shop", "One product with all that is known of it", is_for_shop=True
    ),
    PageEntry("story", "Story", ":material/slideshow:", "Shop", "A demonstration in three acts", is_for_shop=True),
    PageEntry(
        "catalogue",
        "Catalogue",
        ":material/inventory_2:",
        "Workbench",
        "The products, their pictures and versions",
        Role.MERCHANDISER,
        is_for_shop=True,
    ),
    PageEntry(
        "train", "Train", ":material/model_training:", "Workbench", "Teach Twinset what looks alike", Role.ENGINEER
    ),
    PageEntry("tune", "Tune", ":material/tune:", "Workbench", "Find settings that give better answers", Role.ENGINEER),
    PageEntry("evaluate", "Evaluate", ":material/analytics:", "Workbench", "How good the answers are"),
    PageEntry("explore", "Explore", ":material/scatter_plot:", "Workbench", "A map of what looks alike to Twinset"),
    PageEntry(
        "deploy",
        "Deploy",
        ":material/rocket_launch:",
        "Workbench",
        "The search in use, and how to query it",
        Role.ENGINEER,
    ),
    PageEntry("jobs", "Jobs", ":material/list_alt:", "Operations", "All running and finished jobs"),
    PageEntry(
        "system", "System", ":material/settings:", "Operations", "Settings, versions and addresses", Role.ENGINEER
    ),
)


def page(name: str) -> Any:
    """Return the ``st.Page`` of a page by the name of its file."""
    entry = next(entry for entry in PAGES if entry.name == name)
    return st.Page(
        FOLDER / f"{entry.name}.py",
        title=entry.title,
        icon=entry.icon,
        url_path=entry.name,
        default=entry is PAGES[0],
        help=entry.help,
    )


def menu() -> dict[str, list[Any]]:
    """Return the pages that whoever looks has a use for, by section of the menu."""
    sections: dict[str, list[Any]] = {}
    for entry in filter(_is_open, PAGES):
        sections.setdefault(entry.section, []).append(page(entry.name))
    return sections


def _is_open(entry: PageEntry) -> bool:
    return entry is PAGES[0] or identity.may(entry.role)  # the first one tells who may not look at all


def has(name: str) -> bool:
    """Whether whoever looks has a page in the menu."""
    return any(entry.name == name and _is_open(entry) for entry in PAGES)


def is_for_shop(shown: Any) -> bool:
    """Tell whether a page of the menu is one that merchandisers read."""
    return any(entry.is_for_shop for entry in PAGES if entry.title == shown.title)


def link(name: str, label: str, address: Mapping[str, str] | None = None) -> None:
    """Show a link to a page, opened with these values in its address line; nothing for whom it is not."""
    if not has(name):
        return
    st.page_link(page(name), label=plain(label), icon=":material/arrow_forward:", query_params=dict(address or {}))


def go(name: str, address: Mapping[str, str]) -> None:
    """Open a page with these values in its address line; whoever has no use for it stays."""
    if has(name):
        st.switch_page(page(name), query_params=dict(address))
