"""Meta catalogues: Google's layout with columns of their own, comments above the header, and paths such as image[0].url."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles import google
from backend.catalogue.sources.profiles.cells import listed_pictures, state
from backend.catalogue.sources.profiles.profile import Profile, words

if TYPE_CHECKING:
    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

_NUMBERED = re.compile(r"(?:additional )?image(?:\[(\d+)\])?\.url")


def _pictures(layout: Layout, row: Row) -> list[str]:
    numbered = sorted((name for name in layout.names if _NUMBERED.fullmatch(name)), key=_number)
    return list(dict.fromkeys([*google.pictures(layout, row), *listed_pictures(*layout.texts(row, numbered))]))


def _number(name: str) -> tuple[bool, int]:
    return name.startswith("additional"), int(name.partition("[")[2].partition("]")[0] or 0)


PROFILES = (
    Profile(
        name="meta",
        title="Meta catalogue",
        required=words("id, title"),
        any_of=words("fb product category, quantity to sell on facebook, image[0].url, image[0].tag[0], image.url"),
        strong=google.STRONG | words("fb product category, quantity to sell on facebook, image link, status"),
        columns={
            **google.COLUMNS,
            "image": ("image link", "image[0].url", "image.url"),
            "stock": ("quantity to sell on facebook", "inventory"),
            "status": ("status",),
        },
        readers={**google.READERS, "status": state},
        grammar=google.offers,
        pictures=_pictures,
    ),
)
