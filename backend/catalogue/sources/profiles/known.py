"""All layouts that are known, and which of them a header is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles import (
    abo,
    agents,
    akeneo,
    bigcommerce,
    google,
    hm,
    kaggle_fashion,
    magento,
    meta,
    picture_lists,
    shopify,
    woocommerce,
)
from backend.catalogue.sources.profiles.profile import plain_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backend.catalogue.sources.profiles.profile import Profile

_MODULES = (
    *(shopify, woocommerce, google, meta, bigcommerce, magento, akeneo),
    *(kaggle_fashion, hm, abo, picture_lists, agents),
)
PROFILES: tuple[Profile, ...] = tuple(profile for module in _MODULES for profile in module.PROFILES)
BY_NAME = {profile.name: profile for profile in PROFILES}


def recognised(columns: Iterable[str]) -> Profile | None:
    """Return the layout that a header is of; None where it is none that is known, or might be two."""
    header = frozenset(plain_names(columns))
    scored = sorted(((profile.score(header), profile) for profile in PROFILES), key=lambda one: -one[0])
    (best, profile), (second, _) = scored[:2]
    return profile if best > second else None
