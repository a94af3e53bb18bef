"""What the Catalogue page asks and says of the source that a catalogue is loaded from again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.services import catalogue as catalogues
from app.services import common
from backend.catalogue.fetch.address import parse
from backend.errors import CatalogueError, ImageRejected
from backend.flow.current import renew
from backend.flow.current.renew import Remembered
from backend.flow.requests import IngestRequest

if TYPE_CHECKING:
    from backend.files.edited import Edition

__all__ = ["Remembered", "edition_of", "forget", "place_of", "remember", "remembered_at", "source_of", "title_of"]


def source_of(catalogue: str) -> Remembered | None:
    """Return what a catalogue is loaded from; None where nothing is remembered."""
    return renew.remembered(common.settings(), catalogue)


def place_of(kept: Remembered) -> str:
    """Return the address of the feed, or the path of the source."""
    return kept.address or kept.load.path


def title_of(kept: Remembered) -> str:
    """Return a short name: the host of a feed, or the name of a file."""
    return urlsplit(kept.address).hostname or Path(kept.load.path).name


def remembered_at(catalogue: str, place: str, kept: Remembered | None) -> Remembered:
    """Make what is to be remembered of a place; where it is the one that is remembered, its columns stay as they are.

    Raises:
        CatalogueError: It is no address that can be used, or a path that products may not be loaded from.
    """
    if kept is not None and place == place_of(kept):
        return kept
    if place.startswith(("http://", "https://")):
        try:
            parse(place)
        except ImageRejected as error:
            raise CatalogueError(error.message, next_step=error.next_step) from error
        return Remembered(IngestRequest(source="csv", catalogue=catalogue), place, renewed_at=time.time())
    source = catalogues.source_at(place)
    return Remembered(IngestRequest(source=source.kind, catalogue=catalogue, path=source.path), renewed_at=time.time())


def edition_of(catalogue: str) -> Edition | None:
    """Return the newest version of what is remembered; None where nothing is."""
    return renew.newest_edition(common.settings(), catalogue)


def remember(catalogue: str, kept: Remembered, base: int) -> int:
    """Remember it, made of a version; returns the new version.

    Raises:
        ChangedMeanwhile: Another person changed it since that version.
    """
    return renew.remember(common.settings(), catalogue, kept, base=base).version


def forget(catalogue: str) -> None:
    """Forget it; the catalogue is kept."""
    renew.forget(common.settings(), catalogue)
