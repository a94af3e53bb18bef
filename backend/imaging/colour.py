"""Colours of other spaces as sRGB; only :mod:`backend.imaging.steps` uses this.

A picture without a profile is sRGB, as browsers take it. A profile that is broken, or of another kind of picture, is
passed over: it never costs a picture.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# A profile that moves no colour by more levels is sRGB: the many ways to write it down differ by one or two.
_ALIKE = 2
_STEPS = 9  # levels of each channel that are tried
_KEPT = 32  # profiles; a shop's photos have a few
_GREY_RAMP = np.arange(256, dtype=np.uint8).reshape(1, 256)


def to_srgb(profile: object, mode: str) -> Callable[[Image.Image], Image.Image] | None:
    """Return what brings a picture of this mode, L, RGB or CMYK, to sRGB, as L or RGB; None where it is left as it is."""
    return _conversion(profile, mode) if isinstance(profile, bytes) and profile else None


@lru_cache(maxsize=_KEPT)
def _conversion(profile: bytes, mode: str) -> Callable[[Image.Image], Image.Image] | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode == "L":
        levels = np.asarray(ImageCms.applyTransform(Image.fromarray(_GREY_RAMP), transform))[0, :, 1]
        return None if _is_alike(levels, _GREY_RAMP[0]) else lambda image: image.point(levels.tolist())
    if mode == "RGB" and _is_alike(np.asarray(ImageCms.applyTransform(Image.fromarray(_cube()), transform)), _cube()):
        return None
    return lambda image: cast("Image.Image", ImageCms.applyTransform(image, transform))


def _is_alike(found: NDArray[np.uint8], given: NDArray[np.uint8]) -> bool:
    return int(np.abs(found.astype(np.int16) - given).max()) <= _ALIKE


def _cube() -> NDArray[np.uint8]:
    """Return colours from everywhere in the cube of RGB, uint8 (H, W, 3)."""
    levels = np.linspace(0, 255, _STEPS).astype(np.uint8)
    cube: NDArray[np.uint8] = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(_STEPS, -1, 3)
    return cube
