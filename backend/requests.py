"""What can be asked of Twinset: one typed request for each kind of job, as JSON and back.

Pages and commands fill these; :mod:`backend.steps` carries them out. They import nothing heavy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

from backend.errors import JobError
from backend.training.config import TrainConfig

SourceName = Literal["fashion-mnist", "sample"]


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """Load a source into a catalogue.

    Attributes:
        source: Where the products come from.
        catalogue: Name of the catalogue; the source's name when empty.
        validation_share: Fraction of each class of the train split that becomes the validation split.
        seed: Seed of the validation draw.
    """

    kind: ClassVar[str] = "catalogue"
    source: SourceName = "sample"
    catalogue: str = ""
    validation_share: float = 0.1
    seed: int = 7

    @property
    def catalogue_name(self) -> str:
        """The catalogue's name in force."""
        return self.catalogue or self.source


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """Train a model on a catalogue; ``version`` None means the newest, ``name`` empty means one made from the time."""

    kind: ClassVar[str] = "train"
    catalogue: str = "sample"
    version: int | None = None
    config: TrainConfig = field(default_factory=TrainConfig)
    name: str = ""


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """Embed the whole gallery of a model's catalogue and put the index into its bundle."""

    kind: ClassVar[str] = "index"
    model: str = ""


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """Score a model's index with the test split."""

    kind: ClassVar[str] = "evaluate"
    model: str = ""


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """Log, register and alias a bundle, so that the endpoint serves it."""

    kind: ClassVar[str] = "deploy"
    model: str = ""
    alias: str = "champion"


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """Run the whole path once; ``auto`` takes Fashion-MNIST where it can be had and the sample otherwise.

    ``preset`` empty means the preset made for the source.
    """

    kind: ClassVar[str] = "demo"
    source: Literal["auto", "fashion-mnist", "sample"] = "auto"
    preset: str = ""


Request = IngestRequest | TrainRequest | IndexRequest | EvaluateRequest | DeployRequest | DemoRequest
KINDS: dict[str, type[Request]] = {
    cls.kind: cls for cls in (IngestRequest, TrainRequest, IndexRequest, EvaluateRequest, DeployRequest, DemoRequest)
}


def to_json(request: Request) -> dict[str, Any]:
    """Return the request's fields as JSON values; the kind travels beside it."""
    return asdict(request)


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
    return cls(**values)
