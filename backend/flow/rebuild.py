"""A model's card replayed: the same catalogue version, configuration and seed, trained, indexed and evaluated again.

It takes as many workers and threads as the original did, where that is known: with another number, sums are added up in
another order, and the last bits of the network are others. What differs is said, and by how much.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles import bundle
from backend.errors import BundleError, RegistryError
from backend.files.holding import held, lock_of
from backend.flow.evaluate import evaluate_step
from backend.flow.index import index_step
from backend.flow.named import model_folder
from backend.flow.ready_made import remake_step
from backend.flow.requests import EvaluateRequest, IndexRequest, ReadyMadeRequest, TrainRequest
from backend.flow.train import train_step
from backend.progress import Span
from backend.registry.card import ModelCard, card_of
from backend.training.config import TrainConfig
from backend.training.network import weights
from backend.training.preparation import ModelPlace, check_name

if TYPE_CHECKING:
    from pathlib import Path

    from backend.flow.requests import RebuildRequest, Request
    from backend.flow.steps import Step
    from backend.progress import Progress
    from backend.settings import Settings

logger = logging.getLogger(__name__)
_WEIGHTS = (("train", 80), ("index", 10), ("evaluate", 10))


def rebuild_step(request: RebuildRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Replay a card and return what differs: the network, the figures, the code and the libraries.

    Raises:
        RegistryError: There is no such version, or it has no card.
        CatalogueNotFound: The catalogue version is not there any more.
    """
    card = _card(request, settings)
    name = request.name or f"{card.model}-rebuilt-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    needed = _work(card, name)
    spans = Span.split(progress, _WEIGHTS[: len(needed)])
    check_name(ModelPlace(settings.models_dir, name))
    folder = settings.models_dir / name
    what, doing = f"The model {name!r}", f"is being rebuilt from {card.model}"
    with held(lock_of(folder), what, doing, progress, otherwise="choose another name"):
        for (step, asked), span in zip(needed, spans, strict=True):
            step(asked, replace(settings, threads=card.threads or settings.threads), span)
    rebuilt = card_of(folder, bundle.read_manifest(folder))
    return {
        "model": name,
        "original": card.model,
        "same_network": rebuilt.weights_hash == card.weights_hash,
        "largest_weight_difference": _largest_difference(_original(request, card, settings), folder),
        "differs": differences(card, rebuilt),
        "figures": figures(card, rebuilt),
    }


def _work(card: ModelCard, name: str) -> list[tuple[Step, Request]]:
    """Return the steps that made a model, for one of that name."""
    config, ref = TrainConfig.from_dict(card.config), card.catalogue
    training: tuple[Step, Request] = (train_step, TrainRequest(ref.name, ref.version, config, name, card.workers))
    indexing: tuple[Step, Request] = (index_step, IndexRequest(name))
    making: tuple[Step, Request] = (remake_step, ReadyMadeRequest(ref.name, ref.version, name))
    scoring: tuple[Step, Request] = (evaluate_step, EvaluateRequest(name, baselines=False))
    learns_nothing = config.detail_share == 1.0
    made = [making] if learns_nothing else [training, indexing] if card.index else [training]
    return [*made, scoring] if card.rates else made


def _original(request: RebuildRequest, card: ModelCard, settings: Settings) -> Path | None:
    """Return a folder with the original's network: its own, or the one that was registered; None where both are gone."""
    from backend.registry.fetching import fetch_version

    folder = settings.models_dir / card.model
    if (folder / bundle.MANIFEST).is_file() and bundle.read_manifest(folder).weights_hash == card.weights_hash:
        return folder
    try:
        return fetch_version(settings, request.version) if request.version else None
    except (BundleError, RegistryError) as error:
        logger.warning("the original's network cannot be compared: %s", error)
        return None


def _largest_difference(original: Path | None, rebuilt: Path) -> float | None:
    """Return by how much the weight that differs most differs; None where the networks cannot be compared."""
    if original is None:
        return None
    before, after = (weights.unpack(folder / bundle.WEIGHTS) for folder in (original, rebuilt))
    if [array.shape for array in before] != [array.shape for array in after]:
        return None
    gaps = (np.abs(one.astype(np.float64) - other).max(initial=0.0) for one, other in zip(before, after, strict=True))
    return float(max(gaps, default=0.0))


def figures(original: ModelCard, rebuilt: ModelCard) -> list[dict[str, Any]]:
    """Return the figures that both cards have, side by side, whether they differ or not."""
    shared = sorted(original.metrics.keys() & rebuilt.metrics.keys())
    pairs = [(name, original.metrics[name], rebuilt.metrics[name]) for name in shared]
    return [
        {"figure": name, "original": before, "rebuilt": after, "difference": after - before}
        for name, before, after in pairs
    ]


def _card(request: RebuildRequest, settings: Settings) -> ModelCard:
    from backend.registry.history import load_ledger

    if not request.version:
        folder = model_folder(settings, request.model)
        return card_of(folder, bundle.verify(folder))
    card = load_ledger(settings).version(request.version).card
    if card is None:
        raise RegistryError(
            f"Version {request.version} has no card.",
            next_step="It was not registered by Twinset; deploy a model of Twinset.",
        )
    return card


def differences(original: ModelCard, rebuilt: ModelCard) -> list[dict[str, str]]:
    """Return what differs between two cards of the same recipe: what it is, before and after."""
    pairs: list[tuple[str, object, object]] = [
        ("network", original.weights_hash[:12], rebuilt.weights_hash[:12]),
        ("code", original.git_commit, rebuilt.git_commit),
        ("workers", original.workers, rebuilt.workers),
        ("threads", original.threads or "not recorded", rebuilt.threads or "not recorded"),
        ("products in the index", original.index.get("size"), rebuilt.index.get("size")),
        ("kind of index", original.index.get("kind"), rebuilt.index.get("kind")),
    ]
    pairs += _by_name(original.libraries, rebuilt.libraries)
    pairs += _by_name(_rounded(original.metrics), _rounded(rebuilt.metrics))
    return [
        {"what": what, "original": _text(before), "rebuilt": _text(after)}
        for what, before, after in pairs
        if before != after
    ]


def _by_name(before: dict[str, str], after: dict[str, str]) -> list[tuple[str, object, object]]:
    return [(name, before.get(name), after.get(name)) for name in sorted(before.keys() & after.keys())]


def _rounded(metrics: dict[str, float]) -> dict[str, str]:
    return {name: f"{value:.4f}" for name, value in metrics.items()}


def _text(value: object) -> str:
    return "" if value is None else str(value)
