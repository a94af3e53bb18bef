"""What the commands do that keep a catalogue current."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.cli.catalogue_actions import fetch_pictures, source_of
from backend.cli.running import Result, carry_out
from backend.errors import UsageError
from backend.flow.requests import RenewRequest

if TYPE_CHECKING:
    import argparse

    from backend.flow.current.renew import Remembered
    from backend.settings import Settings


def remember_source(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue remember``: keep it, forget it, or show it where neither is wished."""
    from backend.flow.current.renew import forget, remember, remembered

    if options.forget:
        forget(settings, options.catalogue)
    elif options.path or options.address:
        remember(settings, options.catalogue, _remembered(options))
    kept = remembered(settings, options.catalogue)
    if kept is None:
        return {"catalogue": options.catalogue, "source": None}
    return {
        "catalogue": options.catalogue,
        "source": kept.address or kept.load.path,
        "every_hours": kept.every_hours,
        "gone": kept.load.gone,
    }


def fetch(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue fetch``, after what was said of placeholders; where no table is named, that is all."""
    from backend.catalogue.fetch.records import store_of
    from backend.catalogue.fetch.shared import SharedPictures

    accepted, refused = options.accept_placeholder, options.refuse_placeholder
    for hashes, is_real in ((accepted, True), (refused, False)):
        if hashes:
            SharedPictures(store_of(settings)).say(hashes, is_real=is_real)
    if (accepted or refused) and not (options.path or options.source):
        return {"accepted": accepted, "refused": refused}
    return fetch_pictures(options, settings)


def renew_catalogue(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue renew``."""
    return carry_out(RenewRequest(options.catalogue, options.confirmed), settings)


def _remembered(options: argparse.Namespace) -> Remembered:
    from backend.flow.current.renew import Remembered

    if options.path and options.address:
        raise UsageError("Both a path and an address are given.", next_step="Give one of them.")
    return Remembered(source_of(options), options.address, options.every)
