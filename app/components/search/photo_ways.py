"""More ways to the uploader: a photo that is pasted, dropped anywhere on the page, or taken with a phone's camera.

All of them fill the file input of the uploader itself, so that there is one way to the server, with one limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.components.shared.scripted import scripted
from app.services import common
from backend.imaging.pixels import FORMATS_READ

if TYPE_CHECKING:
    from collections.abc import Sequence

_HTML = """
<div class="photo-ways">
  <div class="wrong" role="alert" hidden></div>
  <p>Or paste a photo, or drop it anywhere on the page.</p>
  <button type="button" hidden>Take a photo</button>
  <div class="drop" hidden><span>Drop the photo to find similar products</span></div>
</div>
"""


def show(uploader: str, suffixes: Sequence[str]) -> None:
    """Lead pasted, dropped and taken photos to the uploader in the container of this key, and say what it cannot take."""
    data = {
        "uploader": f"st-key-{uploader}",
        "suffixes": list(suffixes),
        "most_mb": common.settings().max_upload_mb,
        "formats": FORMATS_READ,
    }
    scripted("photo_ways", _HTML)(key="photo_ways", data=data)
