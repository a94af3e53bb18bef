"""The step that evaluates a model: from a typed request to a report in its bundle and figures in its run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from backend.bundles import bundle
from backend.bundles.renewal import renew
from backend.errors import BundleError, EvaluationError
from backend.evaluation.options import STANDARD_K
from backend.files.storage import write_atomically
from backend.flow import named
from backend.progress import Span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from backend.bundles.bundle import IndexInfo, Manifest
    from backend.evaluation.contenders import Ground, OtherModel
    from backend.evaluation.protocol import Recall
    from backend.evaluation.report import ScoreRow
    from backend.evaluation.study import Outcome
    from backend.flow.requests import EvaluateRequest
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder
    from backend.settings import Settings

# Networks of the original design, by backbone: scored beside every other model of the same catalogue version.
ORIGINALS = {
    "seed-cnn-as-published": "The original's network, as published",
    "seed-cnn": "The original's network (pixels scaled once)",
}

# What figures in a manifest begin with that an evaluation put there.
_OURS = ("test.", "test_without_duplicates.", "unseen.", "unseen_mixed.", "protocol.")


def evaluate_step(request: EvaluateRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Ask the test split against the rest of the bundle's own index; the report goes into the bundle, figures into manifest and run."""
    from backend.evaluation.study import Places, Subject, evaluate_model
    from backend.registry.runs.tracking import log_metrics_to_run

    request.options.check()
    folder = named.model_folder(settings, request.model)
    manifest = bundle.verify(folder)
    if manifest.index is None:
        raise BundleError(f"{folder.name} has no index yet.", next_step="Build it first: `python -m backend index`.")
    progress.report(0, 100, unit="%", note="Loading the model")
    with bundle.workplace(folder, "evaluation") as place:
        scored = _scored(folder, manifest.index)
        ground = _ground(scored, manifest, manifest.index, settings, place)
        embedder = named.load_network(folder, manifest, settings)
        if (found := _by_protocol(embedder, scored, ground, progress)) is not None:
            return _kept_recall(folder, found, settings)
        outcome = evaluate_model(
            Subject(manifest, embedder, scored.vectors),
            ground,
            request.options,
            places=Places(place, settings.catalogues_dir / manifest.catalogue.name),
            others=_others(request, manifest, ground, settings),
            progress=progress,
        )
        metrics = metrics_of(outcome)
        keep_outcome(folder, outcome, metrics, place)
    log_metrics_to_run(settings, manifest.run_id, metrics)
    return _result(folder, outcome, metrics)


def _by_protocol(embedder: Embedder, scored: _Scored, ground: Ground, progress: Progress) -> Recall | None:
    """Ask the test products by the protocol of their data set; None where the network has learnt their labels."""
    import numpy as np

    from backend.catalogue.items import UNLABELLED
    from backend.evaluation.contenders import TEST
    from backend.evaluation.pictures import embed
    from backend.evaluation.protocol import recall, way_of

    known = ground.reader.snapshot.columns(["label"], splits=TEST)["label"].to_pylist()
    way = way_of(np.asarray(known, dtype=np.str_), ground.labels, ground.splits, ground.classes)
    if way is None:
        return None
    reading, embedding, scoring = Span.split(progress, [("", 2), ("", 2), ("", 4)])
    pictures = ground.test(embedder.spec, progress=reading)
    vectors = embed(embedder, pictures, progress=embedding)
    asked = np.flatnonzero(pictures.labels != UNLABELLED)
    answering = np.flatnonzero(ground.splits == "gallery-only")
    gallery, labels = (scored.vectors[answering], ground.labels[answering]) if way == "gallery" else (None, None)
    return recall(vectors[asked], pictures.labels[asked], gallery, labels, progress=scoring)


def _kept_recall(folder: Path, found: Recall, settings: Settings) -> dict[str, Any]:
    """Note the recall in manifest and run; what an earlier evaluation said is replaced."""
    from backend.evaluation.answers import ANSWERS
    from backend.evaluation.report import REPORT
    from backend.registry.runs.tracking import log_metrics_to_run
    from backend.retrieval.calibration import CALIBRATION

    manifest = bundle.read_manifest(folder)
    kept = {name: value for name, value in manifest.metrics.items() if not name.startswith(_OURS)}
    renew(folder, {}, partial(replace, metrics={**kept, **found.metrics}), drop=(ANSWERS, REPORT, CALIBRATION))
    log_metrics_to_run(settings, manifest.run_id, found.metrics)
    return {"model": folder.name, "metrics": found.metrics, "table": [], "notes": [found.sentence]}


@dataclass(frozen=True, slots=True)
class _Scored:
    """The part of an index that scores are taken on: M of its items in their order, M for all or (M, D) for vectors."""

    ids: NDArray[np.str_]
    labels: NDArray[np.str_]
    splits: NDArray[np.str_]
    vectors: NDArray[np.float32]


def _scored(folder: Path, index: IndexInfo) -> _Scored:
    """Read it; products of the test split ask, and must not find themselves."""
    import numpy as np

    from backend.retrieval.gallery.gallery import Gallery, load_vectors

    gallery, vectors = Gallery.load(folder), load_vectors(folder)
    rows = np.flatnonzero(np.isin(gallery.splits, index.scored_splits))
    # One array without gaps, so that the same products get the same figures to the last bit, whatever else is searched.
    kept = vectors if len(rows) == len(vectors) else vectors[rows]
    return _Scored(
        np.asarray(gallery.ids, dtype=np.str_)[rows], gallery.labels.astype(np.str_)[rows], gallery.splits[rows], kept
    )


def _ground(scored: _Scored, manifest: Manifest, index: IndexInfo, settings: Settings, place: Path) -> Ground:
    from backend.catalogue.snapshot import open_snapshot
    from backend.evaluation.contenders import Ground
    from backend.evaluation.pictures import PictureReader

    snapshot = open_snapshot(settings.catalogues_dir, index.catalogue.name, index.catalogue.version)
    reader = PictureReader(snapshot, place)
    return Ground(reader, scored.ids, scored.labels, scored.splits, manifest.classes, index.scored_splits)


def _others(request: EvaluateRequest, manifest: Manifest, ground: Ground, settings: Settings) -> list[OtherModel]:
    """Return the models to score beside this one: those asked for, and the newest of each of the original's networks.

    Raises:
        BundleError: One that was asked for does not exist or is damaged.
        EvaluationError: One was trained on another catalogue, so that its test products may be what it has learnt.
    """
    found: dict[str, str] = {}  # name of the bundle: how it is called
    if request.baselines:
        for other in reversed(bundle.list_bundles(settings.models_dir)):
            called = ORIGINALS.get(str(other.config.get("backbone")))
            if called and other.catalogue == manifest.catalogue and other.name != manifest.name:
                found = {name: title for name, title in found.items() if title != called}
                found[other.name] = called
    for name in request.against:
        if name != manifest.name:
            found.setdefault(named.model_folder(settings, name).name, name)
    return [_other(name, called, manifest, ground, settings) for name, called in found.items()]


def _other(name: str, called: str, manifest: Manifest, ground: Ground, settings: Settings) -> OtherModel:
    from backend.evaluation.contenders import OtherModel

    folder = named.model_folder(settings, name)
    other = bundle.verify(folder)
    if other.catalogue != manifest.catalogue:
        raise EvaluationError(
            f"{name} was trained on {other.catalogue.name} version {other.catalogue.version}, and may have been "
            "trained on some of the queries.",
            next_step=f"Compare models of {manifest.catalogue.name} version {manifest.catalogue.version}.",
        )
    scored = _scored(folder, other.index) if other.index is not None else None
    has_same = scored is not None and scored.ids.tolist() == ground.ids.tolist()
    return OtherModel(
        called,
        lambda: named.load_network(folder, other, settings),
        scored.vectors if scored is not None and has_same else None,
    )


def metrics_of(outcome: Outcome) -> dict[str, float]:
    """Return the figures for manifest and run: all test queries under ``test.``, so that models can be compared.

    What counts k neighbours is named only where k is the usual one.
    """
    report = outcome.report
    metrics = {f"test.{name}": value for name, value in outcome.everything.items()}
    if report.left_out:
        metrics |= {f"test_without_duplicates.{name}": rate.value for name, rate in report.model_row.rates.items()}
    if report.unseen is not None:
        for name, rows in (("unseen", report.unseen.among), ("unseen_mixed", report.unseen.mixed)):
            metrics |= {f"{name}.{rate}": found.value for row in rows[:1] for rate, found in row.rates.items()}
    if report.calibration is not None:
        metrics["test.calibration_error"] = report.calibration.ece
        if report.calibration.auroc_unknown is not None:
            metrics["unseen.auroc"] = report.calibration.auroc_unknown
    usual = report.options.k == STANDARD_K
    return {name: value for name, value in metrics.items() if usual or not name.endswith("_at_k")}


def keep_outcome(folder: Path, outcome: Outcome, metrics: dict[str, float], place: Path) -> None:
    """Put report, answers and calibration into the bundle; what an earlier evaluation said is replaced.

    Everything is made in ``place``, on the same disk, and the whole folder changes in one step: a bundle whose files
    and manifest disagree is a damaged one.

    Raises:
        BundleError: The model was trained or indexed again meanwhile, so that the report is of another one.
    """
    from backend.evaluation.answers import ANSWERS, to_parquet
    from backend.evaluation.report import REPORT
    from backend.retrieval.calibration import CALIBRATION

    manifest, report = bundle.read_manifest(folder), outcome.report
    if manifest.index is None or not report.is_of(manifest) or manifest.index.scored_size != report.gallery:
        raise BundleError(f"{folder.name} was changed in the meantime.", next_step="Evaluate it again.")
    fresh = {ANSWERS: to_parquet(outcome.answers), REPORT: report.to_json().encode()}
    if outcome.calibration is not None:
        fresh[CALIBRATION] = outcome.calibration.to_json().encode()
    for name, data in fresh.items():
        write_atomically(place / name, data)
    kept = {name: value for name, value in manifest.metrics.items() if not name.startswith(_OURS)}
    moved = {name: place / name for name in fresh}
    renew(folder, moved, partial(replace, metrics={**kept, **metrics}), drop=(CALIBRATION,))


def _result(folder: Path, outcome: Outcome, metrics: dict[str, float]) -> dict[str, Any]:
    """Return the tables as a command prints them and a job keeps them; all of it is in the report."""
    report = outcome.report
    result: dict[str, Any] = {"model": folder.name, "metrics": metrics, "table": _rows(report.seen)}
    if report.robustness:
        result["robustness"] = [{"change": one.change, "rows": _rows(one.rows)} for one in report.robustness]
    if report.unseen is not None:
        tables = {"among": _rows(report.unseen.among), "mixed": _rows(report.unseen.mixed)}
        result["unseen"] = {"classes": list(report.unseen.classes), **tables}
    if report.calibration is not None:
        shown = ("threshold", "precision_target", "test_precision", "test_answered", "ece", "auroc_unknown")
        result["calibration"] = {name: getattr(report.calibration, name) for name in shown}
    if report.left_out:
        result["left_out"] = report.left_out
    return {**result, "notes": list(report.notes), "seconds": report.seconds}


def _rows(rows: Sequence[ScoreRow]) -> list[dict[str, Any]]:
    return [
        {"name": row.name, "kind": row.kind, "queries": row.queries, "gallery": row.gallery}
        | {name: asdict(rate) for name, rate in row.rates.items()}
        for row in rows
    ]
