"""The step that makes the table of similar products, or brings it up to date."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from backend.bundles import bundle
from backend.flow import named
from backend.imaging import pixels

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from backend.bundles.manifest import Manifest
    from backend.flow.requests import ReadinessRequest, SimilarRequest, SubstitutesRequest
    from backend.merchandising.similar.ruled import RulesAt
    from backend.progress import Progress
    from backend.retrieval.embedder import QueryEmbedder
    from backend.settings import Settings


def similar_step(request: SimilarRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Make the table of the products that a model answers with, or look up what changed since it was made."""
    from backend.merchandising.similar.making import Wanted, make
    from backend.retrieval.indexes.kinds import no_index
    from backend.spark.session import open_spark

    folder, version = model_of(request, settings)
    manifest = bundle.read_manifest(folder)
    if manifest.index is None:
        raise no_index(folder)
    catalogue = manifest.index.catalogue.name
    wanted = Wanted(request.k, manifest.name, version, catalogue, rules_of(folder, manifest, settings))
    spark = partial(open_spark, settings, app_name=f"twinset similar {catalogue}")
    done = make(settings.similar_dir, folder, wanted, spark, progress, again=request.again)
    return {"catalogue": catalogue, "model": manifest.name, "k": request.k, **done.as_dict()}


def rules_of(folder: Path, manifest: Manifest, settings: Settings) -> RulesAt:
    """Return the newest published rules of the catalogue that a bundle searches, as they are in force now."""
    from backend.merchandising.rule_store import RuleStore
    from backend.merchandising.similar.ruled import RulesAt
    from backend.retrieval.query_pictures import QueryPictures, embed_queries
    from backend.retrieval.rules.compiled import embedded_pictures
    from backend.training.embedder import load_query_embedder

    store = RuleStore(settings.rules_dir, manifest.searched.name)
    found = RulesAt(store.read())
    reader = QueryPictures(manifest.pixels, pixels.MAX_PIXELS)

    @cache
    def network() -> QueryEmbedder:  # loaded only where a rule is for a picture
        return load_query_embedder(folder, manifest, threads=settings.threads)

    def embed(sha256: str) -> NDArray[np.float32]:
        image = reader.decode([store.pictures.read(sha256)])[0]
        vector: NDArray[np.float32] = embed_queries(network(), image)[0][0]
        return vector

    return replace(found, pictures=embedded_pictures(found.live, embed)[0])


def model_of(request: SimilarRequest | SubstitutesRequest | ReadinessRequest, settings: Settings) -> tuple[Path, int]:
    """Return the bundle that answers, verified, and its number in the registry: 0 for one that is named.

    Raises:
        RegistryError: Nothing is registered under the alias.
        BundleError: There is no such model, or it is damaged.
    """
    if request.model:
        folder = named.model_folder(settings, request.model)
        bundle.verify(folder)
        return folder, 0
    from backend.registry.fetching import fetch_champion

    found, folder = fetch_champion(settings, request.alias)
    return folder, found.version
