"""What can be asked of Twinset: one typed request for each kind of job, as JSON and back.

Pages and commands fill these; :mod:`backend.steps` carries them out. They import nothing heavy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args

from backend.catalogue.items import GonePolicy  # noqa: TC001 - a field's type, asked for at run time
from backend.catalogue.splits import SplitPlan
from backend.errors import CatalogueError, JobError
from backend.evaluation.options import STANDARD_K, EvaluationOptions
from backend.projection.options import USUAL_NEIGHBOURS, ProjectionOptions
from backend.training.config import TrainConfig
from backend.tuning.plan import SweepPlan

SourceName = Literal["sample", "fashion-mnist", "folder", "zip", "csv", "parquet", "delta"]
BUILT_IN: tuple[SourceName, ...] = ("sample", "fashion-mnist")  # all others lie at a path
LabelFrom = Literal["folder", "none"]


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """Load a source into a catalogue, or only check what a load would do.

    Attributes:
        source: Where the products come from.
        catalogue: Name of the catalogue; a built-in source's own name when empty.
        validation_share: Fraction of each class of the train split that becomes the validation split.
        seed: Seed of the draws.
        path: Where the source lies; not for the built-in ones.
        columns: Column of the source by field of the product, for tables; guessed where empty.
        label_from: Whether the sub-folder gives the label, for folders and zip files.
        source_version: Version of a Delta table to read; None means the newest.
        test_share: Fraction of each class that becomes the test split, where the source states no splits.
        unseen: Labels that are kept out of training.
        redraw: Whether products that the catalogue holds already get new splits.
        gone: What becomes of products that the source does not name.
        check_only: Whether to stop before the commit and report what it would do.
        measure_quality: Whether the pictures are measured afterwards.
    """

    kind: ClassVar[str] = "catalogue"
    source: SourceName = "sample"
    catalogue: str = ""
    validation_share: float = 0.1
    seed: int = 7
    path: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    label_from: LabelFrom = "folder"
    source_version: int | None = None
    test_share: float = 0.2
    unseen: tuple[str, ...] = ()
    redraw: bool = False
    gone: GonePolicy = "keep"
    check_only: bool = False
    measure_quality: bool = True

    @property
    def catalogue_name(self) -> str:
        """The catalogue's name in force.

        Raises:
            CatalogueError: The source has no name of its own and none is given.
        """
        if not self.catalogue and self.source not in BUILT_IN:
            raise CatalogueError("The catalogue has no name.", next_step="Give it one, for example `shop`.")
        return self.catalogue or self.source

    @property
    def splits(self) -> SplitPlan:
        """How products get their splits."""
        return SplitPlan(self.validation_share, self.test_share, self.seed, tuple(self.unseen), self.redraw)


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """Commit a load that was checked; ``staged`` is what the check's report names."""

    kind: ClassVar[str] = "commit"
    staged: str = ""
    gone: GonePolicy = "keep"
    measure_quality: bool = True


@dataclass(frozen=True, slots=True)
class QualityRequest:
    """Measure the pictures of a catalogue that were not measured yet."""

    kind: ClassVar[str] = "quality"
    catalogue: str = "sample"


@dataclass(frozen=True, slots=True)
class SplitsRequest:
    """Change the splits of a catalogue: draw them anew, or bring duplicates across splits into one.

    Attributes:
        action: ``redraw`` draws by the shares below; ``mend`` moves every group of equal pictures into one split.
        near: Whether ``mend`` also takes near duplicates, by the perceptual hash.
    """

    kind: ClassVar[str] = "splits"
    catalogue: str = "sample"
    action: Literal["redraw", "mend"] = "mend"
    near: bool = True
    validation_share: float = 0.1
    test_share: float = 0.2
    seed: int = 7
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Bring a catalogue back to an earlier version, as a new version."""

    kind: ClassVar[str] = "restore"
    catalogue: str = "sample"
    version: int = 1


@dataclass(frozen=True, slots=True)
class TidyRequest:
    """Compact a catalogue's files, and remove files that no kept version needs.

    Attributes:
        compact: Whether small files are written together.
        vacuum: Whether files of old versions are removed; never those of a version that a model names.
        keep_days: Versions younger than this stay, in days.
    """

    kind: ClassVar[str] = "tidy"
    catalogue: str = "sample"
    compact: bool = True
    vacuum: bool = False
    keep_days: float = 30.0


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """Train a model on a catalogue.

    Attributes:
        version: None means the newest.
        name: Of the new model; empty means one made from the time.
        workers: Processes that train together, each in a Spark task; 1 trains without Spark.
        resume: Whether to go on from the last checkpoint of ``name``; all else is then as it was.
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
class IndexRequest:
    """Embed the whole gallery of a model's catalogue and put the index into its bundle.

    Attributes:
        index_kind: ``exact`` or ``approximate``; empty keeps the kind that the model has, which is exact at first.
        newest: Whether the newest version of the catalogue is taken; else that of the index there is, or else the one
            that was trained on.
    """

    kind: ClassVar[str] = "index"
    model: str = ""
    index_kind: Literal["", "exact", "approximate"] = ""
    newest: bool = False


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """Bring a model's index up to its catalogue's newest version: only what changed is embedded.

    Attributes:
        deploy: Whether the model is deployed again, so that the endpoint takes it up; only where it is what answers.
    """

    kind: ClassVar[str] = "refresh"
    model: str = ""
    alias: str = "champion"
    deploy: bool = True


@dataclass(frozen=True, slots=True)
class FidelityRequest:
    """Measure how much of the exact answer a model's index gives, and how fast."""

    kind: ClassVar[str] = "fidelity"
    model: str = ""
    k: int = 10
    queries: int = 1_000


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

    @property
    def options(self) -> ProjectionOptions:
        """How the map is drawn."""
        return ProjectionOptions(self.neighbours, self.min_distance, self.supervised, self.seed)


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """Log and register a bundle, and move the alias to it if the gate lets it through, so that the endpoint serves it.

    ``reason`` overrules the gate.
    """

    kind: ClassVar[str] = "deploy"
    model: str = ""
    alias: str = "champion"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PromoteRequest:
    """Move an alias to a registered version; ``reason`` overrules the gate."""

    kind: ClassVar[str] = "promote"
    version: int = 1
    alias: str = "champion"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """Move an alias back to the version that stood there before."""

    kind: ClassVar[str] = "rollback"
    alias: str = "champion"


@dataclass(frozen=True, slots=True)
class RebuildRequest:
    """Train and index a model anew as its card says, and compare.

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
class DemoRequest:
    """Run the whole path once; ``auto`` takes Fashion-MNIST where it can be had and the sample otherwise.

    ``preset`` empty means the preset made for the source.
    """

    kind: ClassVar[str] = "demo"
    source: Literal["auto", "fashion-mnist", "sample"] = "auto"
    preset: str = ""


Request = (
    IngestRequest
    | CommitRequest
    | QualityRequest
    | SplitsRequest
    | RestoreRequest
    | TidyRequest
    | TrainRequest
    | TuneRequest
    | IndexRequest
    | RefreshRequest
    | FidelityRequest
    | EvaluateRequest
    | ProjectRequest
    | DeployRequest
    | PromoteRequest
    | RollbackRequest
    | RebuildRequest
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
        raise JobError(f"There is no job of kind {kind!r}.", next_step=f"Kinds are {', '.join(sorted(KINDS))}.")
    cls = KINDS[kind]
    unknown = raw.keys() - {item.name for item in fields(cls)}
    if unknown:
        raise JobError(f"A {kind} job has no field {min(unknown)!r}.", next_step="Submit it again from its page.")
    values = dict(raw)
    if cls is TrainRequest and "config" in values:
        values["config"] = TrainConfig.from_dict(values["config"])
    if cls is TuneRequest and "plan" in values:
        values["plan"] = SweepPlan.from_dict(values["plan"])
    for name in {"unseen", "against"} & values.keys():
        values[name] = tuple(values[name])
    return cls(**values)
