"""The same pictures as customers would take them: turned, cut off, too dark, saved too small.

A picture is changed before the pixel contract, as it would be before it is uploaded, and is encoded again.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pyarrow as pa
from PIL import Image

from backend.errors import ImageRejected
from backend.imaging import pixels as imaging
from backend.imaging.budget import as_it_is, budgeted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Change = Literal["turned-left", "turned-right", "cropped", "darker", "jpeg"]
CHANGES: tuple[Change, ...] = get_args(Change)

ANGLE = 15  # degrees
CROPPED = 0.1  # of width and of height
DARKER = 0.6  # times as bright
JPEG_QUALITY = 30


@budgeted(as_it_is, as_it_is)
def changed(data: bytes, change: Change) -> bytes:
    """Return an encoded picture, changed.

    Raises:
        ImageRejected: The bytes are no usable picture.
    """
    with imaging.opened(data) as (picture, _):
        result = _CHANGED[change](imaging.presentable(picture))
        buffer = io.BytesIO()
        if change == "jpeg":
            result.save(buffer, format="JPEG", quality=JPEG_QUALITY)
        else:
            result.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def changed_batches(batches: Iterable[pa.RecordBatch], change: Change) -> Iterator[pa.RecordBatch]:
    """Change the column ``image`` of batches; what is no picture stays, and is left out where it is decoded."""
    for batch in batches:
        images = [_changed_or_as_it_is(data, change) for data in batch.column("image").to_pylist()]
        columns = {name: batch.column(name) for name in batch.schema.names}
        columns["image"] = pa.array(images, pa.binary())
        yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _changed_or_as_it_is(data: bytes, change: Change) -> bytes:
    try:
        return changed(data, change)
    except ImageRejected:
        return data


def _turned(image: Image.Image, degrees: int) -> Image.Image:
    """Turn about the middle; corners that come in have the colour of the border, so that no edge is invented."""
    return image.rotate(degrees, resample=Image.Resampling.BICUBIC, fillcolor=_border_colour(image))


def _border_colour(image: Image.Image) -> int | tuple[int, ...]:
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    fill = np.median(border, axis=0).astype(np.uint8)
    return int(fill) if fill.ndim == 0 else tuple(int(value) for value in fill)


def _cropped(image: Image.Image) -> Image.Image:
    across, down = (max(1, round(side * CROPPED / 2)) for side in image.size)
    return image.crop((across, down, image.width - across, image.height - down))


def _darker(image: Image.Image) -> Image.Image:
    return image.point(lambda value: value * DARKER)


_CHANGED: dict[Change, Callable[[Image.Image], Image.Image]] = {
    "turned-left": lambda image: _turned(image, ANGLE),
    "turned-right": lambda image: _turned(image, -ANGLE),
    "cropped": _cropped,
    "darker": _darker,
    "jpeg": lambda image: image,
}
