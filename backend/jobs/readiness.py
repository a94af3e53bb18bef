"""Is everything ready? This machine, its graphics cards as TensorFlow sees them, and what ended processes left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.errors import JobError
from backend.jobs.tidying import left_behind, summary
from backend.machine import doctor
from backend.machine.doctor import Check
from backend.training.cards import look_at_cards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.settings import Settings


def checks(settings: Settings) -> list[Check]:
    """Look at everything once; no check starts a JVM, and TensorFlow is asked only where there is a graphics card."""
    return [*doctor.checks(settings), *_cards(settings), _left_behind(settings)]


def _cards(settings: Settings) -> Iterator[Check]:
    """Say what TensorFlow can use of the cards that are there; nothing where there are none, or none is wanted."""
    found = look_at_cards() if settings.device != "cpu" else None
    if found and found.present:
        detail = found.sentence or f"TensorFlow can use {found.usable} of {found.present}"
        yield Check("Graphics card", not found.missing, detail, found.next_step)


def _left_behind(settings: Settings) -> Check:
    """Name what processes left that were killed."""
    try:
        kinds = summary(left_behind(settings))
    except JobError as error:
        return Check("Left behind", False, error.message, error.next_step)
    size = sum(kind["bytes"] for kind in kinds) / 1e6
    named = ", ".join(f"{kind['what']}: {kind['count']}" for kind in kinds)
    fix = "Run `python -m backend tidy`; the next start of anything but the app removes it, too."
    return Check("Left behind", not kinds, f"{named}; {size:.1f} MB" if kinds else "nothing from ended processes", fix)
