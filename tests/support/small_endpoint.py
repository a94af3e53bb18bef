"""The endpoint as it is, with a model of 60 small pictures that needs no TensorFlow: ``python -m tests.support.small_endpoint``.

Its settings come from the environment; its address space is limited, as a machine of 8 GB would.
"""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

from backend.imaging import budget
from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.serving.gateway import build_app
from backend.serving.server import serve
from backend.settings import load_settings
from tests.fixtures.endpoint import ShopSnapshot, load_projection, served, shop_rows, write_projection_bundle

ADDRESS_SPACE = 8_000_000_000


def main() -> None:
    """Serve until SIGTERM."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    settings = load_settings()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "small"
        build_gallery(ShopSnapshot(shop_rows()), write_projection_bundle(folder), folder, progress=NullProgress())
        recommender = Recommender.load(folder, embedder_loader=load_projection, max_pixels=settings.max_pixels)
        budget.prepare(settings.picture_processes, settings.max_pixels)
        serve(settings, app=build_app(settings, load=lambda: served(recommender)))


if __name__ == "__main__":
    main()
