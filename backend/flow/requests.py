"""What can be asked of Twinset: one typed request for each kind of job, as JSON and back.

Pages and commands fill these; :mod:`backend.flow.kinds` carries them out. They import nothing heavy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args

from backend.errors import JobError
from backend.evaluation.options import STANDARD_K, EvaluationOptions
from backend.flow.catalogue_requests import (
    BUILT_IN,
    CommitRequest,
    ExportRequest,
    FetchRequest,
    IngestRequest,
    LabelFrom,
    QualityRequest,
    RenewRequest,
    RestoreRequest,
    SourceName,
    SplitsRequest,
    TidyRequest,
)
from backend.flow.index_requests import (
    FidelityRequest,
    IndexRequest,
    ReadinessRequest,
    ReadyMadeRequest,
    RefreshRequest,
    SimilarRequest,
    SubstitutesRequest,
)
from backend.projection.options import ENGINES, USUAL_NEIGHBOURS, Engine, ProjectionOptions
from backend.training.config import TrainConfig
from backend.tuning.plan import SweepPlan


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """Train a model on a catalogue.

    Attributes:
        version: None means the newest.
        name: Of the new model; empty means one made from the time.
        workers: Processes that train together, each in a Spark task; 1 trains without Spark.
        resume: Whether to go on from the last checkpoint of ``name``; all but ``changes`` is then as it was.
        changes: Fields of the configuration that a resumed training takes again: ``epochs`` and ``patience`` may be.
        origin: Where the configuration came from, kept in the manifest: ``{"sweep": name, "trial": number}``.
    """

    kind: ClassVar[str] = "train"
    catalogue: str = "sample"
    version: int | None = None
    config: TrainConfig = field(default_factory=TrainConfig)
    name: str = ""
    workers: int = 1
    resume: bool = False
    origin: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)


__all__ = [
    "BUILT_IN",
    "KINDS",
    "CommitRequest",
    "DeleteRequest",
    "DemoRequest",
    "DeployRequest",
    "EvaluateRequest",
    "ExportRequest",
    "FetchRequest",
    "FidelityRequest",
    "IndexRequest",
    "IngestRequest",
    "LabelFrom",
    "ProjectRequest",
    "PromoteRequest",
    "QualityRequest",
    "ReadinessRequest",
    "ReadyMadeRequest",
    "RebuildRequest",
    "RefreshRequest",
    "RenewRequest",
    "Request",
    "RestoreRequest",
    "RollbackRequest",
    "SimilarRequest",
    "SimulateRequest",
    "SourceName",
    "SplitsRequest",
    "SubstitutesRequest",
    "TidyRequest",
    "TrainRequest",
    "TuneRequest",
    "from_json",
    "to_json",
]


@dataclass(frozen=True, slots=True)
class TuneRequest:
    """Run a sweep, or go on with one.

    Attributes:
        plan: What it is to do; to go on with one, its name and the budget that is now in force.
        resume: Whether to go on with the sweep of that name; all but the budget is then as it was.
    """

    kind: ClassVar[str] = "tune"
    plan: SweepPlan = field(default_factory=SweepPlan)
    resume: bool = False


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """Score a model's index with the test split; the fields are those of :class:`EvaluationOptions`."""

    kind: ClassVar[str] = "evaluate"
    model: str = ""
    k: int = STANDARD_K
    bootstrap: int = 1_000
    without_duplicates: bool = False
    robustness: bool = False
    baselines: bool = True
    against: tuple[str, ...] = ()
    precision_target: float = 0.9
    seed: int = 7

    @property
    def options(self) -> EvaluationOptions:
        """How the model is evaluated."""
        return EvaluationOptions(**{item.name: getattr(self, item.name) for item in fields(EvaluationOptions)})


@dataclass(frozen=True, slots=True)
class ProjectRequest:
    """Draw a map of a model's gallery; the fields are those of :class:`ProjectionOptions`."""

    kind: ClassVar[str] = "project"
    model: str = ""
    neighbours: int = USUAL_NEIGHBOURS
    min_distance: float = 0.1
    supervised: bool = False
    seed: int = 7
    engine: Engine = ENGINES[0]

    @property
    def options(self) -> ProjectionOptions:
        """How the map is drawn."""
        return ProjectionOptions(**{item.name: getattr(self, item.name) for item in fields(ProjectionOptions)})


@dataclass(frozen=True, slots=True)
class SimulateRequest:
    """Try rules on questions: those of ``rules`` as plain values, else of a ``version``, else of somebody's ``draft``.

    ``limit`` is how many logged questions they are tried on, besides all approved examples.
    """

    kind: ClassVar[str] = "simulate"
    draft: str = ""
    version: int | None = None
    rules: list[dict[str, Any]] | None = None
    limit: int = 2_000


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """Log and register a bundle, and move the alias to it if the gate lets it through, so that the endpoint serves it.

    ``reason`` overrules the gate; ``replace_catalogue`` says that answers may come from another catalogue from then on.
    """

    kind: ClassVar[str] = "deploy"
    model: str = ""
    alias: str = "champion"
    reason: str = ""
    replace_catalogue: bool = False


@dataclass(frozen=True, slots=True)
class PromoteRequest:
    """Move an alias to a registered version; ``reason`` and ``replace_catalogue`` as in :class:`DeployRequest`."""

    kind: ClassVar[str] = "promote"
    version: int = 1
    alias: str = "champion"
    reason: str = ""
    replace_catalogue: bool = False


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """Move an alias back to the version that stood there before."""

    kind: ClassVar[str] = "rollback"
    alias: str = "champion"


@dataclass(frozen=True, slots=True)
class RebuildRequest:
    """Train and index a model again as its card says, and compare.

    Attributes:
        version: Registered version whose card is replayed; 0 means ``model``'s own.
        model: Name of a bundle; the newest when neither is given.
        name: Of the new model; made from the old one's and the time when empty.
    """

    kind: ClassVar[str] = "rebuild"
    version: int = 0
    model: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """Delete a model, an unfinished training (by ``model``, too) or a sweep, unless something still names it."""

    kind: ClassVar[str] = "delete"
    model: str = ""
    sweep: str = ""


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """Run the whole path once; ``auto`` takes Fashion-MNIST where it can be had and the sample otherwise.

    ``preset`` empty means the preset made for the source.
    """

    kind: ClassVar[str] = "demo"
    source: Literal["auto", "fashion-mnist", "sample"] = "auto"
    preset: str = ""


Request = (
    IngestRequest
    | ExportRequest
    | FetchRequest
    | RenewRequest
    | CommitRequest
    | QualityRequest
    | SplitsRequest
    | RestoreRequest
    | TidyRequest
    | TrainRequest
    | TuneRequest
    | IndexRequest
    | ReadyMadeRequest
    | RefreshRequest
    | SimilarRequest
    | SubstitutesRequest
    | ReadinessRequest
    | FidelityRequest
    | EvaluateRequest
    | ProjectRequest
    | SimulateRequest
    | DeployRequest
    | PromoteRequest
    | RollbackRequest
    | RebuildRequest
    | DeleteRequest
    | DemoRequest
)
KINDS: dict[str, type[Request]] = {cls.kind: cls for cls in get_args(Request)}


def to_json(request: Request) -> dict[str, Any]:
    """Return the request's fields as JSON values; the kind travels beside it."""
    raw = asdict(request)
    return {**raw, "plan": request.plan.as_dict()} if isinstance(request, TuneRequest) else raw


def from_json(kind: str, raw: dict[str, Any]) -> Request:
    """Build a request of a kind from its JSON values.

    Raises:
        JobError: There is no such kind, or a field is unknown.
        ConfigurationError: The training configuration in it cannot work.
    """
    if kind not in KINDS:
        raise JobError(f"There is no job kind {kind!r}.", next_step=f"Kinds are {', '.join(sorted(KINDS))}.")
    cls = KINDS[kind]
    unknown = raw.keys() - {item.name for item in fields(cls)}
    if unknown:
        raise JobError(f"A {kind} job has no field {min(unknown)!r}.", next_step="Submit it again from its page.")
    values = dict(raw)
    if cls is TrainRequest and "config" in values:
        values["config"] = TrainConfig.from_dict(values["config"])
    if cls is TuneRequest and "plan" in values:
        values["plan"] = SweepPlan.from_dict(values["plan"])
    for name in {"unseen", "against", "confirm"} & values.keys():
        values[name] = tuple(values[name])
    return cls(**values)
