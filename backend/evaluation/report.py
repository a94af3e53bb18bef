"""What an evaluation found, as one tree of data that is saved in the bundle as ``evaluation.json``.

Pages and commands read it; nothing is computed again. What was answered to every single query is beside it, in
``evaluation.parquet``: see :mod:`backend.evaluation.answers`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from backend.bundles.bundle import CatalogueRef  # noqa: TC001 - a field's type, asked for at run time
from backend.errors import EvaluationError
from backend.evaluation.bootstrap import Estimate  # noqa: TC001 - ditto
from backend.evaluation.calibrate import ReliabilityBin  # noqa: TC001 - ditto
from backend.evaluation.options import EvaluationOptions  # noqa: TC001 - ditto
from backend.files.plain_files import read_plain
from backend.imaging.spec import CONTRACT

if TYPE_CHECKING:
    from pathlib import Path

    from backend.bundles.bundle import Manifest

REPORT = "evaluation.json"
_LONGEST = 64_000_000  # bytes
FORMAT_VERSION = 1
RowKind = Literal["model", "baseline", "other"]
_NEXT = "Evaluate this model again: `python -m backend evaluate`."


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One line of a table: who answered, and how well.

    Attributes:
        name: The model or baseline.
        kind: The model under evaluation, a baseline, or another model.
        queries: Queries that were scored.
        unanswerable: Queries left out, because no gallery item carries their label.
        gallery: Items of the gallery.
        rates: Mean and 95 % interval by name; see ``backend.evaluation.evaluate.RATES``.
    """

    name: str
    kind: RowKind
    queries: int
    unanswerable: int
    gallery: int
    rates: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class LabelScore:
    """How well the queries of one label were answered; ``gallery`` counts the items with that label."""

    label: str
    queries: int
    gallery: int
    precision_at_1: float
    precision_at_k: float
    r_precision: float
    map_at_r: float


@dataclass(frozen=True, slots=True)
class ConfusionCell:
    """How often the nearest product to queries of a label had another, or the same, label.

    Attributes:
        label: Label of the queries.
        nearest: Label of their nearest products.
        queries: How many.
        examples: (query, nearest product) of some of them, the most similar pairs first.
    """

    label: str
    nearest: str
    queries: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """The same queries, their pictures changed; ``change`` is one of ``robustness.CHANGES``, or empty for as they are."""

    change: str
    rows: tuple[ScoreRow, ...]


@dataclass(frozen=True, slots=True)
class UnseenReport:
    """Classes that the model was not trained on; see :mod:`backend.evaluation.unseen`.

    Attributes:
        classes: Their labels.
        among: Scores among themselves; empty for a single class, which has nothing to be confused with.
        mixed: Scores in the gallery of all classes.
    """

    classes: tuple[str, ...]
    among: tuple[ScoreRow, ...]
    mixed: tuple[ScoreRow, ...]


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """How well the calibration, fitted on validation products, holds on test products.

    Attributes:
        curve: (similarity, probability) of every corner.
        threshold: Similarity from which on an answer is called a match; None where the target was not reached.
        precision_target: Share of right answers that it is to reach.
        validation_queries: Products it was fitted on.
        reliability: Predicted and observed shares of right answers on test products.
        ece: Expected calibration error on test products.
        test_precision: Share of right answers among test products that are called a match; None without any.
        test_answered: Share of test products that are called a match.
        auroc_unknown: Known against unknown classes, told apart by the nearest similarity; None without unseen classes.
        unknown_refused: Share of products of unknown classes that are not called a match; None without unseen classes.
    """

    curve: tuple[tuple[float, float], ...]
    threshold: float | None
    precision_target: float
    validation_queries: int
    reliability: tuple[ReliabilityBin, ...]
    ece: float
    test_precision: float | None
    test_answered: float
    auroc_unknown: float | None
    unknown_refused: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that an evaluation found.

    Attributes:
        model: Name of the bundle.
        weights_hash: Its network.
        pixel_contract: What the pictures of its index were turned into pixels by; reports of earlier versions do not say.
        catalogue: The catalogue version that queries and gallery come from.
        gallery: Items of the index that are scored, those without a label too.
        created_at: ISO time.
        options: What was asked for.
        seen: The model and what is beside it, on test products of the classes it was trained on.
        left_out: Test products left out as near duplicates of gallery items.
        by_label: Scores by label of the query, the worst first.
        confusion: Cells with at least one query.
        worst: Product ids of the queries with the lowest average precision, the worst first.
        confident: Product ids of the queries whose wrong nearest product is the most similar, the most similar first.
        robustness: The same queries with changed pictures, the unchanged first; empty unless asked for.
        unseen: Classes that were kept out of training; None where there are none.
        calibration: None where there were too few validation products.
        notes: Sentences for the user.
        seconds: How long it took.
    """

    model: str
    weights_hash: str
    catalogue: CatalogueRef
    gallery: int
    created_at: str
    options: EvaluationOptions
    seen: tuple[ScoreRow, ...]
    left_out: int
    by_label: tuple[LabelScore, ...]
    confusion: tuple[ConfusionCell, ...]
    worst: tuple[str, ...]
    confident: tuple[str, ...]
    robustness: tuple[Changed, ...]
    unseen: UnseenReport | None
    calibration: CalibrationReport | None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    format_version: int = FORMAT_VERSION
    pixel_contract: int = CONTRACT

    def is_of(self, manifest: Manifest) -> bool:
        """Tell whether it judges the network of a bundle, by the very pixels that its index is made of."""
        index = manifest.index
        return index is not None and (self.weights_hash, self.pixel_contract) == (
            manifest.weights_hash,
            index.pixel_contract,
        )

    @property
    def model_row(self) -> ScoreRow:
        """The model's own line among the seen classes."""
        return next(row for row in self.seen if row.kind == "model")

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Evaluation:
        """Read a report back.

        Raises:
            EvaluationError: It is not JSON, of another format version, or does not fit.
        """
        try:
            raw = {"pixel_contract": 1, **json.loads(text)}  # earlier versions had one
            version = raw.get("format_version")
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise EvaluationError("The report of the evaluation is damaged.", next_step=_NEXT) from error
        if version != FORMAT_VERSION:
            raise EvaluationError("The report was written by another version of Twinset.", next_step=_NEXT)
        try:
            evaluation: Evaluation = _built(cls, raw)
        except (TypeError, KeyError, ValueError, AttributeError, RecursionError) as error:
            raise EvaluationError(
                "The report of the evaluation does not have the expected form.", next_step=_NEXT
            ) from error
        return evaluation


def load_report(folder: Path) -> Evaluation | None:
    """Read the report of a bundle; None before it was evaluated.

    Raises:
        EvaluationError: What is there is no report, or one of another version.
    """
    path = folder / REPORT
    if not os.path.lexists(path):
        return None
    try:
        text = read_plain(path, _LONGEST).decode()
    except (OSError, ValueError) as error:
        raise EvaluationError("The report of the evaluation is damaged.", next_step=_NEXT) from error
    return Evaluation.from_json(text)


def _built(kind: Any, raw: Any) -> Any:
    """Build a value of a type from JSON values: dataclasses, tuples, dicts and optional ones of them."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{item.name: _built(hints[item.name], raw[item.name]) for item in fields(kind)})
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return None if raw is None else _built(next(one for one in inner if one is not NoneType), raw)
    if origin is tuple:
        of = inner[:1] * len(raw) if inner[-1] is Ellipsis else inner
        return tuple(_built(one, value) for one, value in zip(of, raw, strict=True))
    if origin is dict:
        return {key: _built(inner[1], value) for key, value in raw.items()}
    return raw
