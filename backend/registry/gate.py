"""What a version must pass before the alias moves to it: figures no worse than the champion's, and approved answers.

The gate reads figures of the test split to refuse a model, never to choose one: nothing is tried again until it passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.bundles import bundle
from backend.errors import EvaluationError
from backend.evaluation.compare import compare_bundles
from backend.evaluation.report import load_report
from backend.registry.golden import golden_queries, replay
from backend.registry.ledger import Check

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from backend.bundles.bundle import Manifest
    from backend.evaluation.compare import Difference
    from backend.registry.golden import Replayed
    from backend.settings import Settings

METRICS, FIDELITY, GOLDEN = "metrics", "fidelity", "golden queries"
RATES = {"precision_at_1": "precision@1", "map_at_r": "MAP@R"}
LEAST_FIDELITY = 0.99
_SHOWN = 3


def judge(settings: Settings, candidate: Path, champion: Path | None) -> tuple[Check, ...]:
    """Ask everything about a candidate; both folders are of registered versions, verified.

    Raises:
        RegistryError: A golden query is damaged.
        BundleError: The candidate cannot answer.
    """
    manifest = bundle.read_manifest(candidate)
    replayed = replay_on(settings, candidate)
    shown = {one.id for one in replayed if one.unwanted}
    theirs = replay_on(settings, champion, shown) if champion and shown else []
    return _metrics(settings, candidate, champion), _fidelity(manifest), _golden(replayed, theirs)


def _metrics(settings: Settings, candidate: Path, champion: Path | None) -> Check:
    """Compare with the champion on the test products that both were asked about, by the intervals of the differences."""
    if champion is None:
        return Check(METRICS, passed=True, says="There is no champion to compare with.")
    if says := _needs_no_figures(bundle.read_manifest(candidate), bundle.read_manifest(champion)):
        return Check(METRICS, passed=True, says=says)
    mine, theirs = _evaluated(settings, candidate), _evaluated(settings, champion)
    if mine is None:
        return Check(METRICS, passed=False, says="It was not evaluated with this index, so it may be worse.")
    if theirs is None:
        return Check(METRICS, passed=True, says="The champion was not evaluated, so no comparison is possible.")
    return _compared(theirs, mine)


def _needs_no_figures(candidate: Manifest, champion: Manifest) -> str:
    """Say why a candidate is not compared with the champion by figures; empty where it has to be."""
    if candidate.catalogue.name != champion.catalogue.name:
        searched = f"It searches {candidate.catalogue.name}, the champion {champion.catalogue.name}"
        return f"{searched}: figures of different catalogues cannot be compared."
    if _is_same(candidate, champion):
        return "Its network and index are the same as the champion's."
    if candidate.config == champion.config and candidate.config.get("detail_share") == 1.0:
        return "Neither was trained: both have the same ready-made network, fitted to different products."
    is_refreshed = candidate.files.get(bundle.WEIGHTS) == champion.files.get(bundle.WEIGHTS)
    return "Its network is the same as the champion's; only the products differ." if is_refreshed else ""


def _compared(champion: Path, candidate: Path) -> Check:
    try:
        found = compare_bundles(champion, candidate)
    except EvaluationError as error:
        return Check(METRICS, passed=False, says=f"It cannot be compared with the champion: {error.message}")
    worse = [name for name in RATES if found.rates[name].difference.high < 0]
    figures = ", ".join(_figure(RATES[name], found.rates[name]) for name in worse or RATES)
    start = "Worse" if worse else "No worse"
    return Check(METRICS, passed=not worse, says=f"{start} than the champion on {found.queries:,} products: {figures}.")


def _figure(title: str, rate: Difference) -> str:
    apart = rate.difference
    return f"{title} {rate.second.value:.3f} against {rate.first.value:.3f} ({apart.value:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}])"


def _is_same(candidate: Manifest, champion: Manifest) -> bool:
    """Whether two bundles answer alike: the same network, and the same vectors of the same gallery."""
    answering = (bundle.WEIGHTS, bundle.VECTORS, bundle.GALLERY, bundle.FURTHER, bundle.FURTHER_VECTORS)
    return all(candidate.files.get(name) == champion.files.get(name) for name in answering)


def _evaluated(settings: Settings, folder: Path) -> Path | None:
    """Return a folder with the evaluation of a registered bundle: itself, or the original, if that was evaluated later."""
    manifest = bundle.read_manifest(folder)
    original = settings.models_dir / manifest.name
    for place in (folder, original):
        if place is original and not (
            (place / bundle.MANIFEST).is_file() and _is_same(bundle.read_manifest(place), manifest)
        ):
            continue
        report = load_report(place)
        size = manifest.index.scored_size if manifest.index else None
        if report is not None and report.is_of(manifest) and report.gallery == size:
            return place
    return None


def _fidelity(manifest: Manifest) -> Check:
    """An approximate index must find nearly what an exact one finds, where that was measured."""
    begin = f"{bundle.INDEX_METRICS}fidelity"
    measured = {name: value for name, value in manifest.metrics.items() if name.startswith(begin)}
    if manifest.index is not None and manifest.index.kind == "exact":
        return Check(FIDELITY, passed=True, says="The index is exact.")
    if not measured:
        return Check(FIDELITY, passed=True, says="The fidelity of the index was not measured.")
    name, least = min(measured.items(), key=lambda item: item[1])
    says = f"{name} is {least:.4f}; at least {LEAST_FIDELITY} is required."
    return Check(FIDELITY, passed=least >= LEAST_FIDELITY, says=says)


def replay_on(settings: Settings, folder: Path, only: Collection[str] | None = None) -> list[Replayed]:
    """Ask a bundle all golden queries of its catalogue, or some by id; it is loaded for that only where there are any.

    Raises:
        RegistryError: A golden query is damaged.
        BundleError: The bundle cannot answer.
    """
    queries = golden_queries(settings.home, bundle.read_manifest(folder).catalogue.name)
    queries = [one for one in queries if only is None or one.id in only]
    if not queries:
        return []
    from backend.retrieval.recommend import Recommender
    from backend.training.embedder import load_query_embedder

    return replay(Recommender.load(folder, embedder_loader=load_query_embedder, threads=settings.threads), queries)


def _golden(replayed: Sequence[Replayed], of_champion: Sequence[Replayed] = ()) -> Check:
    """Every approved answer must be given; what is marked as not similar may be shown where the champion shows it, too."""
    excused = {one.id: set(one.unwanted) for one in of_champion}
    failures = [one.says for one in replayed if one.misses or set(one.unwanted) - excused.get(one.id, set())]
    asked, kept = len(replayed), sum(not one.passed for one in replayed) - len(failures)
    if not asked:
        return Check(GOLDEN, passed=True, says="There are no golden queries for its catalogue.")
    known = f" {kept} of them still show what is marked as not similar, as the champion does." if kept else ""
    if not failures:
        return Check(GOLDEN, passed=True, says=f"All {asked} give the approved answer.{known}")
    rest = f" And {len(failures) - _SHOWN} more." if len(failures) > _SHOWN else ""
    says = f"{len(failures)} of {asked} do not give the approved answer: {' '.join(failures[:_SHOWN])}{rest}"
    return Check(GOLDEN, passed=False, says=says)
