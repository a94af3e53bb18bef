"""Photos that were searched with: kept on the server, so that a link has them, as far as the settings allow; else in the session."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime, timedelta

from app import state
from app.services import common
from app.state import Photo
from backend.errors import WorkbenchError
from backend.merchandising.kept_pictures import KeptPictures, keep_photo, remove_photo

log = logging.getLogger(__name__)


def _store() -> KeptPictures:
    return KeptPictures(common.settings().photos_dir)


def days() -> int:
    """How long photos are kept on the server; 0 where none is."""
    return common.settings().keep_photos_days if common.settings().keep_photos_mb else 0


def keep(photo: Photo) -> str:
    """Keep a photo, on the server where that is possible; returns its SHA-256."""
    sha256 = hashlib.sha256(photo.image).hexdigest()
    if days():
        try:
            keep_photo(_store(), photo.image)
            _store().tidy(days(), most_bytes=common.settings().keep_photos_mb * 1_000_000)
        except (OSError, WorkbenchError) as error:  # it is answered all the same, and the page says that no link has it
            log.warning("A photo is not kept: %s", error)
    state.remember(sha256, Photo(photo.name, b"") if kept_until(sha256) else photo)
    return sha256


def find(sha256: str) -> Photo | None:
    """A photo by its SHA-256; None where neither the server nor this session has it, also where the text is no such hash."""
    known = state.remembered(sha256)
    if known is not None and known.image:
        return known
    image = _store().find(sha256) if kept_until(sha256) else None
    return None if image is None else Photo(known.name if known else f"Photo {sha256[:8]}", image)


def kept_until(sha256: str) -> datetime | None:
    """When a photo on the server goes at the latest; None where it is not there."""
    at = _store().kept_at(sha256)
    until = None if at is None else datetime.fromtimestamp(at, UTC) + timedelta(days=days())
    return until if until and until > datetime.now(UTC) else None


def remove(sha256: str) -> None:
    """Keep a photo no more, and ask about nothing."""
    remove_photo(_store(), sha256)
    state.start_again()
