"""What the Catalogue page asks of the backend about pictures: measures, flags, and which products show the same.

What is measured of a picture belongs to its bytes, so that a catalogue version knows more once more is measured: all
answers are named by catalogue, version and :func:`measured_version`, and cached under that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from app.services import common
from backend.catalogue.delta import delta_log
from backend.catalogue.items import QUALITY, Product

if TYPE_CHECKING:
    from pathlib import Path

    from backend.catalogue.quality.view import Flag, Measure, QualityTable

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repeats:
    """Groups of products that show the same, by id.

    Attributes:
        exact: They have the same picture, byte for byte.
        near: Their pictures look alike.
        leaks: Those of both that are in more than one of train, validation and test.
    """

    exact: list[Group]
    near: list[Group]
    leaks: list[Group]


def measured_version(name: str) -> int:
    """Version of what is measured of a catalogue; another one once more is, 0 while nothing is."""
    return delta_log.newest_version(_folder(name) / QUALITY) or 0


@st.cache_resource(ttl=600, max_entries=4, show_spinner=False)
def quality(name: str, version: int, measured: int) -> QualityTable:  # noqa: ARG001 - keeps answers apart in the cache
    """How good the pictures of a catalogue version are.

    Raises:
        CatalogueError: What is measured cannot be read.
    """
    from backend.catalogue.quality.view import open_quality

    return open_quality(common.snapshot(name, version), _folder(name))


@st.cache_data(ttl=600, max_entries=16, show_spinner=False)
def products(
    name: str,
    version: int,
    measured: int,
    *,
    ranges: dict[Measure, tuple[float, float]],
    flags: tuple[Flag, ...],
    offset: int,
    limit: int,
) -> tuple[list[Product], int]:
    """A page of the products in all of the ranges, with one of the flags if there are any; and how many there are."""
    only = quality(name, version, measured).select(ranges, flags) if ranges or flags else None
    return common.snapshot(name, version).page(offset=offset, limit=limit, only=only)


@st.cache_data(ttl=600, max_entries=4, show_spinner="Comparing the pictures")
def repeats(name: str, version: int, measured: int) -> Repeats:  # noqa: ARG001 - keeps answers apart in the cache
    """Products that show the same; ``version`` is the newest."""
    from backend.catalogue.quality.duplicates import find_leaks
    from backend.catalogue.upkeep.resplit import duplicate_groups

    exact, near = duplicate_groups(common.settings().catalogues_dir, name)
    rows = common.snapshot(name, version).columns(["product_id", "split"])
    split_of = dict(zip(rows["product_id"].to_pylist(), rows["split"].to_pylist(), strict=True))
    leaks = [leak.product_ids for leak in (*find_leaks(exact, split_of), *find_leaks(near, split_of, kind="near"))]
    return Repeats(exact, near, leaks)


@st.cache_data(ttl=600, max_entries=16, show_spinner=False)
def products_of_groups(name: str, version: int, groups: list[Group]) -> list[list[Product]]:
    """The products of every group, with their pictures."""
    snapshot = common.snapshot(name, version)
    return [snapshot.products(group) for group in groups]


def _folder(name: str) -> Path:
    return common.settings().catalogues_dir / name
