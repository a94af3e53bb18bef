"""Run as a process: a Twinset whose products have one more field, a season, by one entry in the definition.

Arguments: a folder to write to, a home of an earlier version, and the folder of a bundle that was made without the field.
Prints what each part of the product makes of the field, as JSON.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

ENTRY = """    season: str | None = _detail(
        "Season", "When it is worn.", "season collection", filtered="values", is_on_card=True
    )
"""
BEHIND = "\n\nPRODUCT_FIELDS = "


def add_the_entry() -> None:
    """Put the definition with the entry in the place of the one that is in the file, before anything imports it."""
    spec = importlib.util.find_spec("backend.catalogue.fields")
    source = Path(spec.origin).read_text("utf-8")
    assert source.count(BEHIND) == 1
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    exec(compile(source.replace(BEHIND, f"{ENTRY}{BEHIND}"), spec.origin, "exec"), module.__dict__)


def schemas():
    from backend.catalogue.items import PRODUCT_COLUMNS, QUARANTINE_COLUMNS, REJECTED_COLUMNS
    from backend.catalogue.schemas import PRODUCT_SCHEMA, ddl
    from backend.retrieval.gallery.gallery_rows import SCHEMA

    return {
        "arrow": str(PRODUCT_SCHEMA.field("season").type),
        "ddl": "season string" in ddl(PRODUCT_COLUMNS) and "season string" in ddl(QUARANTINE_COLUMNS),
        "gallery": str(SCHEMA.field("season").type),
        "rejected": "season" in REJECTED_COLUMNS,
    }


def loaded(folder: Path):
    """A CSV table with the column under another name: what it is taken for, and what is read from it."""
    from backend.catalogue.sources.preview import preview
    from backend.catalogue.sources.tables.listing import TableSource
    from tests.support.pictures import put

    put(folder, "a.png", "b.png")
    path = folder / "goods.csv"
    path.write_text("sku,image,kind,Collection\nA,a.png,bag,winter\nB,b.png,bag,\n", "utf-8")
    mapping = preview("csv", path).mapping
    entries = TableSource(path, tuple(mapping.items()), "csv").entries()
    return {"mapping": mapping["season"], "values": entries["season"].to_pylist()}


def earlier(home: Path, bundle: Path):
    """What was stored without the field opens, and has none."""
    from backend.catalogue.snapshot import open_snapshot
    from backend.retrieval.gallery.gallery import Gallery

    products, _ = open_snapshot(home / "catalogues", "wardrobe").page(offset=0, limit=3)
    galleries = [Gallery.load(home / "models" / "stored"), Gallery.load(bundle)]
    return [product.season for product in products] + [gallery.item(0).season for gallery in galleries]


def answered(folder: Path):
    """Ask a running endpoint whose gallery has seasons, with the filter and without, and write the answer as CSV."""
    from app.components.search import answer_view, filters_panel
    from app.components.shared import product_grid
    from backend.progress import NullProgress
    from backend.retrieval.gallery.gallery import build_gallery
    from backend.retrieval.recommend import Recommender
    from backend.serving import openapi
    from backend.serving.client import EndpointClient
    from backend.serving.gateway import build_app
    from backend.serving.tokens import ensure_app_token
    from tests.fixtures.base import settings_for
    from tests.fixtures.endpoint import (
        ShopSnapshot,
        encoded,
        http_to,
        load_projection,
        picture,
        served,
        shop_rows,
        write_projection_bundle,
    )

    rows = [{**row, "season": ("winter", None, "summer")[at % 3]} for at, row in enumerate(shop_rows())]
    bundle = folder / "bundle"
    build_gallery(ShopSnapshot(rows), write_projection_bundle(bundle), bundle, progress=NullProgress())
    recommender = Recommender.load(bundle, embedder_loader=load_projection)
    settings = replace(settings_for(folder / "home"), endpoint_rate=0)
    with http_to(build_app(settings, load=lambda: served(recommender))) as http:
        client = EndpointClient(str(http.base_url), ensure_app_token(settings))
        some = client.recommend(encoded(picture("blob", 2)), k=5, filters={"season": ["winter"]})
        every = client.recommend(encoded(picture("blob", 2)), k=60)
        client.close()
    document = openapi.document()
    return {
        "filtered": [neighbour.season for neighbour in some.neighbours],
        "all": sorted({neighbour.season or "" for neighbour in every.neighbours}),
        "csv": answer_view.as_csv(some).splitlines()[:2],
        "filter": filters_panel.TITLES["season"],
        "card": product_grid.neighbour_card(some.neighbours[0]).lines[1],
        "parameter": [one["name"] for one in document["paths"]["/v1/recommend"]["post"]["parameters"]],
        "documented": document["components"]["schemas"]["Neighbour"]["properties"]["season"]["type"],
    }


if __name__ == "__main__":
    add_the_entry()
    place, stored_home, made_before = map(Path, sys.argv[1:])
    found = {"schemas": schemas(), "loaded": loaded(place), "earlier": earlier(stored_home, made_before)}
    print(json.dumps({**found, "answered": answered(place)}))
