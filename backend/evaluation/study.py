"""Use case: evaluate a model. Everything that is measured comes together here; nothing measured here decides anything."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backend.catalogue.items import UNLABELLED
from backend.evaluation import breakdown
from backend.evaluation.answers import answer_table
from backend.evaluation.baselines import baseline_spec
from backend.evaluation.contenders import TEST, Contender, baselines, other_contender
from backend.evaluation.duplicates import repeated_queries
from backend.evaluation.measure import Questions
from backend.evaluation.report import Changed, Evaluation, UnseenReport
from backend.evaluation.similarity import worth_of_similarity
from backend.imaging.spec import CONTRACT
from backend.progress import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from backend.bundles.bundle import Manifest
    from backend.evaluation.answers import AnswerTable
    from backend.evaluation.contenders import Ground, OtherModel
    from backend.evaluation.evaluate import QueryScores
    from backend.evaluation.measure import Measured
    from backend.evaluation.options import EvaluationOptions
    from backend.evaluation.report import ScoreRow
    from backend.evaluation.similarity import Worth
    from backend.progress import Progress
    from backend.retrieval.calibration import Calibration
    from backend.retrieval.embedder import Embedder


@dataclass(frozen=True, slots=True)
class Places:
    """Where an evaluation works.

    Attributes:
        folder: For pixels and embeddings; empty, and thrown away afterwards.
        catalogue_folder: The catalogue's, with the table of what was measured of its pictures.
    """

    folder: Path
    catalogue_folder: Path


@dataclass(frozen=True, slots=True)
class Subject:
    """The model under evaluation: its manifest, its network, and its index, float32 (N, D)."""

    manifest: Manifest
    embedder: Embedder
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation brings.

    Attributes:
        report: Everything in figures.
        answers: The model's answer to every test query.
        calibration: What its similarities are worth; None where there were too few validation products.
        everything: Mean rates over all test queries, near duplicates included, by name.
    """

    report: Evaluation
    answers: AnswerTable
    calibration: Calibration | None
    everything: dict[str, float]


def evaluate_model(
    subject: Subject,
    ground: Ground,
    options: EvaluationOptions,
    *,
    places: Places,
    others: Sequence[OtherModel] = (),
    progress: Progress,
) -> Outcome:
    """Ask the model and everything beside it all questions, and fit what its similarities are worth.

    Raises:
        EvaluationError: An option is out of range, or there is no test product to ask about.
        Cancelled: The user asked to stop.
    """
    options.check()
    started = time.monotonic()
    asking, calibrating = Span.split(progress, [("", 92), ("", 8)])
    left_out, notes = _left_out(ground, options, places)
    questions = Questions(ground, options, left_out, _unseen_labels(ground))
    measured = list(_asked(subject, questions, others, places, asking))
    model, kept = measured[0], ground.kept
    answers = answer_table(model.seen, model.seen_ids, ground.ids[kept], ground.labels[kept])
    worth = worth_of_similarity(
        ground,
        model,
        questions.unseen,
        options,
        weights_hash=subject.manifest.weights_hash,
        progress=calibrating,
    )
    notes = (*notes, worth.note, *_notes(subject, model, options))
    report = _report(subject, questions, measured, answers, worth)
    report = replace(report, notes=tuple(filter(None, notes)), seconds=round(time.monotonic() - started, 3))
    return Outcome(report, answers, worth.calibration, model.everything.means())


def _report(
    subject: Subject, questions: Questions, measured: list[Measured], answers: AnswerTable, worth: Worth
) -> Evaluation:
    model, ground, options = measured[0], questions.ground, questions.options
    return Evaluation(
        model=subject.manifest.name,
        weights_hash=subject.manifest.weights_hash,
        catalogue=ground.reader.snapshot.ref,
        gallery=len(ground.ids),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        options=options,
        seen=tuple(_row(one, one.seen, options) for one in measured),
        left_out=len(model.everything) - len(model.seen),
        by_label=breakdown.label_scores(model.seen),
        confusion=breakdown.confusion(answers),
        worst=breakdown.worst_queries(answers),
        confident=breakdown.confident_queries(answers),
        robustness=_robustness(measured, options),
        unseen=_unseen(measured, questions.unseen, options),
        calibration=worth.report,
        pixel_contract=subject.manifest.index.pixel_contract if subject.manifest.index else CONTRACT,
    )


def _asked(
    subject: Subject, questions: Questions, others: Sequence[OtherModel], places: Places, progress: Progress
) -> Iterator[Measured]:
    """Ask the model, then the baselines and other models, one after the other."""
    options, ground = questions.options, questions.ground
    name = subject.manifest.name
    weights = [(name, 5), *([("Baselines", 12)] if options.baselines else []), *((one.name, 7) for one in others)]
    spans = iter(list(Span.split(progress, weights)))
    model = Contender(name, "model", subject.embedder, subject.vectors)
    yield questions.ask(model, progress=next(spans))
    if options.baselines:
        preparing, *asking = Span.split(next(spans), [("", 3), ("", 5), ("", 4)])
        found = baselines(ground, subject.manifest.pixels, places.folder, progress=preparing)
        for contender, span in zip(found, asking, strict=False):  # without a train split there is no PCA
            yield questions.ask(contender, progress=span)
    for at, other in enumerate(others):
        preparing, ask = Span.split(next(spans), [("", 3), ("", 4)])
        path = places.folder / f"other-{at}.float32"
        yield questions.ask(other_contender(ground, other, path, progress=preparing), progress=ask)


def _left_out(ground: Ground, options: EvaluationOptions, places: Places) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the test products with a near duplicate in the gallery, if they are to be left out, and what to say."""
    if not options.without_duplicates:
        return frozenset(), ()
    snapshot = ground.reader.snapshot
    queries = snapshot.columns(["product_id"], splits=TEST)["product_id"].to_pylist()
    found = repeated_queries(snapshot, places.catalogue_folder, queries, ground.ids.tolist())
    if not found.unmeasured:
        return found.ids, ()
    note = (
        f"{found.unmeasured:,} pictures of {snapshot.name} are not measured, so only exact copies of them are known. "
        f"Measure them on the Catalogue page, or with `python -m backend catalogue quality {snapshot.name}`, "
        "and evaluate again."
    )
    return found.ids, (note,)


def _unseen_labels(ground: Ground) -> tuple[str, ...]:
    """Return the labels that the model was not trained on and that two products or more carry."""
    test = ground.reader.snapshot.columns(["label"], splits=TEST)["label"].to_pylist()
    counts = Counter([*ground.labels.tolist(), *test])
    known = {UNLABELLED, *ground.classes}
    return tuple(sorted(label for label, count in counts.items() if label not in known and count > 1))


def _row(measured: Measured, scores: QueryScores, options: EvaluationOptions) -> ScoreRow:
    return breakdown.score_row(measured.contender.name, measured.contender.kind, scores, options)


def _robustness(measured: list[Measured], options: EvaluationOptions) -> tuple[Changed, ...]:
    changes = list(measured[0].changed)
    return tuple(Changed(str(one), tuple(_row(m, m.changed[one], options) for m in measured)) for one in changes)


def _unseen(measured: list[Measured], classes: tuple[str, ...], options: EvaluationOptions) -> UnseenReport | None:
    found = [(one, one.unseen) for one in measured if one.unseen is not None]
    if not found:
        return None
    among = [_row(one, scores.among, options) for one, scores in found] if len(classes) > 1 else []
    return UnseenReport(classes, tuple(among), tuple(_row(one, scores.mixed, options) for one, scores in found))


def _notes(subject: Subject, model: Measured, options: EvaluationOptions) -> Iterator[str]:
    spec = subject.manifest.pixels
    small = baseline_spec(spec)
    if options.baselines and small != spec:
        yield f"Raw pixels and PCA use the pictures at {small.width} x {small.height} pixels."
    if (unreadable := model.pictures.unreadable) == 1:
        yield "One test product was left out: its picture cannot be read."
    elif unreadable:
        yield f"{unreadable:,} test products were left out: their pictures cannot be read."
    if model.everything.unanswerable:
        yield f"{model.everything.unanswerable:,} test products were left out: the gallery has none with their label."
