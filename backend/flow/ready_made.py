"""The step that answers with a catalogue's products without any training, nor any label.

A ready-made network gives the features; their centre and principal directions are fitted to the catalogue's own pictures.
Network and index are made beside the models and moved in whole: cancelled or failed, nothing is left behind.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles import bundle
from backend.bundles.renewal import renew
from backend.catalogue.items import GALLERY_SPLITS, UNLABELLED
from backend.errors import BundleError, RetrievalError
from backend.files.holding import held, lock_of
from backend.files.storage import disk_watched, write_atomically
from backend.flow import named
from backend.flow.deploy import deploy_step
from backend.flow.index import build_index
from backend.flow.requests import DeployRequest
from backend.progress import Span
from backend.training.presets import READY_MADE
from backend.training.resolve import MIN_CLASSES, MIN_EXAMPLES, Resolved

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.flow.requests import ReadyMadeRequest
    from backend.progress import Progress
    from backend.settings import Settings

logger = logging.getLogger(__name__)
FITTED_ON = 4_000  # pictures at most; beyond that, directions hardly move
_MOST_CLASSES = 10_000  # where there are more labels, they name no kinds


def ready_made_step(request: ReadyMadeRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Fit the ready-made network to a catalogue, index it, calibrate it where there are labels, and deploy it.

    Where that was begun before with this version of the catalogue, what is made already is taken.

    Raises:
        CatalogueNotFound: There is no such catalogue.
        RetrievalError: None of its pictures can be read.
        ConfigurationError: The model cannot have the name, or the weights are not to be had.
        PromotionRefused: Another catalogue is searched, or the gate refuses; what was made is kept.
    """
    from backend.registry.promotion import require_same_catalogue

    started = time.monotonic()
    snapshot = _snapshot(request, settings)
    if not request.replace_catalogue:
        require_same_catalogue(settings, snapshot.name)
    making, deploying = Span.split(progress, [("", 75), ("Making it available", 25)], takes_notes=False)
    folder = make_ready_made(request, settings, making)
    asked = DeployRequest(model=folder.name, replace_catalogue=request.replace_catalogue)
    with _held(folder, progress):
        deployed = deploy_step(asked, settings, deploying)
    return {**deployed, **_facts(folder, snapshot), "seconds": round(time.monotonic() - started, 3)}


def make_ready_made(request: ReadyMadeRequest, settings: Settings, progress: Progress) -> Path:
    """Make network, index and calibration, moved to their place in one step, unless they are there; returns the folder.

    Raises:
        WorkbenchError: As :func:`ready_made_step`, but for what deploying may raise.
    """
    snapshot = _snapshot(request, settings)
    folder = _place(request, snapshot, settings)
    with _held(folder, progress):
        if not _is_made(folder, snapshot):
            _make(folder, snapshot, request, settings, progress)
    return folder


def remake_step(request: ReadyMadeRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Make a ready-made model anew, and deploy nothing."""
    return {"model": make_ready_made(request, settings, progress).name}


def _snapshot(request: ReadyMadeRequest, settings: Settings) -> Snapshot:
    from backend.catalogue.snapshot import open_snapshot

    return open_snapshot(settings.catalogues_dir, request.catalogue, request.version)


def _held(folder: Path, progress: Progress) -> AbstractContextManager[None]:
    what = f"The model {folder.name!r}"
    return held(lock_of(folder), what, "is being made", progress, otherwise="choose another name")


def _place(request: ReadyMadeRequest, snapshot: Snapshot, settings: Settings) -> Path:
    """Return the folder of the model: one that was made before, or one that is free."""
    from backend.training.preparation import ModelPlace, check_name

    usual = f"{snapshot.name}-ready-made"
    names = [request.name] if request.name else chain([usual], (f"{usual}-{number}" for number in count(2)))
    found = (settings.models_dir / name for name in names)
    folder = next(one for one in found if request.name or not one.exists() or _is_made(one, snapshot))
    if not folder.exists() or not _is_made(folder, snapshot):
        check_name(ModelPlace(settings.models_dir, folder.name))
    return folder


def _is_made(folder: Path, snapshot: Snapshot) -> bool:
    """Tell whether a folder holds the ready-made model of this very catalogue version, whole."""
    try:
        manifest = bundle.verify(folder)
    except BundleError as error:
        logger.info("%s", error)
        return False
    return (manifest.config, manifest.catalogue) == (READY_MADE.as_dict(), snapshot.ref) and manifest.index is not None


def _make(folder: Path, snapshot: Snapshot, request: ReadyMadeRequest, settings: Settings, progress: Progress) -> None:
    from backend.retrieval.indexes.kinds import EXACT, check_kind

    kind = check_kind(request.index_kind or EXACT)
    steps = [("Looking at the pictures", 45), ("Preparing the search", 50), ("Finishing", 5)]
    fitting, indexing, calibrating = Span.split(progress, steps, takes_notes=False)
    with disk_watched("try again"), bundle.workplace(folder, "ready-made") as place:
        fresh = place / folder.name
        _write_network(fresh, snapshot, settings, fitting)
        build_index(snapshot, bundle.verify(fresh), fresh, kind, settings, indexing)
        _calibrate(fresh, calibrating)
        progress.check_cancelled()
        fresh.rename(folder)


def _write_network(folder: Path, snapshot: Snapshot, settings: Settings, progress: Progress) -> None:
    """Fit the head to pictures of the catalogue, and write the whole network as a bundle without an index."""
    from backend.training.heads import fitted_head
    from backend.training.network.network import build_network
    from backend.training.network.pretrained import check_pretrained, load_pretrained
    from backend.training.network.ready_made import set_head
    from backend.training.package import describe, write_bundle
    from backend.training.provenance import threads_of
    from backend.training.runtime import prepare_similarity, prepare_tensorflow

    check_pretrained(READY_MADE)
    tf = prepare_tensorflow(settings.threads, settings.device)
    prepare_similarity()
    features = _features(snapshot, settings, progress)
    model = build_network(READY_MADE)
    load_pretrained(model, READY_MADE)
    set_head(model, fitted_head(features, READY_MADE.kept_size))
    resolved = Resolved(READY_MADE, classes_of(snapshot), (), len(features))
    manifest = describe(folder.name, resolved, None, catalogue=snapshot.ref, threads=threads_of(tf))
    write_bundle(folder, manifest, model.get_weights())


def _features(snapshot: Snapshot, settings: Settings, progress: Progress) -> NDArray[np.float16]:
    """Return the frozen features of pictures spread over the gallery, float16 (N, F)."""
    from backend.feeding.content_cache import cache_folder
    from backend.retrieval.features import KeptFeatures
    from backend.retrieval.gallery.embedding import batches_of, embed_batches
    from backend.retrieval.gallery.gallery_rows import QUERY_SCHEMA
    from backend.training.heads import frozen_network, space_of

    ids = snapshot.columns(["product_id"], splits=GALLERY_SPLITS, on_sale_only=True)["product_id"].to_pylist()
    rows = np.linspace(0, len(ids) - 1, min(FITTED_ON, len(ids))).astype(np.int64)
    frozen = frozen_network(READY_MADE)
    network = KeptFeatures(frozen, space_of(READY_MADE, frozen, cache_folder(settings)))
    batches = batches_of(snapshot, [ids[row] for row in rows])
    found = embed_batches(batches, network, QUERY_SCHEMA, total=len(rows), progress=progress, keep=lambda _: None)
    if not found.ids:
        raise RetrievalError(
            f"No picture of {snapshot.name} can be read.",
            next_step="See on the Catalogue page, under Rejected, what is wrong with them, and load the products again.",
        )
    return np.concatenate(found.vectors)


def classes_of(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the labels that can say whether an answer is right: two or more, each with two products or more."""
    labels = snapshot.columns(["label"], splits=GALLERY_SPLITS, on_sale_only=True)["label"].to_pylist()
    counted = Counter(label for label in labels if label != UNLABELLED)
    shared = sorted(label for label, products in counted.items() if products >= MIN_EXAMPLES)
    return tuple(shared) if MIN_CLASSES <= len(shared) <= _MOST_CLASSES else ()


def _calibrate(folder: Path, progress: Progress) -> None:
    """Fit what a similarity is worth, where enough products have a label that others have, too.

    Nothing was learnt from any label, so that not only validation products may ask; those of the test split do where
    there are too few others.
    """
    from backend.evaluation import calibrate, similarity
    from backend.evaluation.options import EvaluationOptions
    from backend.retrieval.calibration import CALIBRATION
    from backend.retrieval.gallery.gallery import Gallery, load_vectors

    manifest, gallery = bundle.read_manifest(folder), Gallery.load(folder)
    rows = np.flatnonzero(gallery.labels != UNLABELLED)
    labels = gallery.labels[rows].astype(np.str_)
    may_ask = np.isin(labels, manifest.classes)
    first = may_ask & (gallery.splits[rows] != "test")
    asking = np.flatnonzero(first if first.sum() >= calibrate.MIN_QUERIES else may_ask)
    if len(asking) < calibrate.MIN_QUERIES:
        logger.info("%s is not calibrated: %d products can be asked about", folder.name, len(asking))
        return
    found = similarity.fitted(
        load_vectors(folder)[rows],
        labels,
        asking,
        EvaluationOptions(),
        weights_hash=manifest.weights_hash,
        progress=progress,
    )
    with bundle.workplace(folder, "calibration") as place:
        write_atomically(place / CALIBRATION, found.to_json().encode())
        renew(folder, {CALIBRATION: place / CALIBRATION}, lambda one: one)


def _facts(folder: Path, snapshot: Snapshot) -> dict[str, Any]:
    """Return what the model holds, and one of its products to begin with."""
    from backend.retrieval.calibration import CALIBRATION
    from backend.retrieval.gallery.gallery import Gallery

    manifest = bundle.read_manifest(folder)
    assert manifest.index is not None  # noqa: S101 - it was built
    return {
        "catalogue": snapshot.name,
        "catalogue_version": snapshot.version,
        "products": manifest.index.size,
        "left_out": named.left_out(manifest.index, snapshot),
        "calibrated": CALIBRATION in manifest.files,
        "product": Gallery.load(folder).ids[0],
    }
