"""Which preset fits a catalogue: told by its pictures, never by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from backend.catalogue.snapshot import Snapshot

PHOTO_SIDE, FEW_PHOTOS = 240, 5_000  # pixels of the shorter side; products that the preset for photos was made for


def fitting_preset(snapshot: Snapshot) -> str:
    """Return the preset that fits most pictures of a catalogue version: grey, drawn small, or some thousand photos."""
    columns = snapshot.columns(["channels", "width", "height"])
    channels, *sides = (columns[column].to_numpy() for column in ("channels", "width", "height"))
    if not len(channels) or float((channels > 1).mean()) <= 0.5:
        return "resnet"
    are_photos = float((np.minimum(*sides) >= PHOTO_SIDE).mean()) > 0.5
    return "resnet-photos" if are_photos and len(channels) < FEW_PHOTOS else "resnet-colour"
