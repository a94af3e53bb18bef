"""What can be asked about the index that answers are found in; see :mod:`backend.flow.requests`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

Selection = Literal["sold out", "new", "list", "filter", "photos"]
SELECTIONS: tuple[Selection, ...] = get_args(Selection)


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
class ReadyMadeRequest:
    """Answer with the products of a catalogue without any training: a ready-made network, an index, and the alias.

    Attributes:
        version: None means the newest.
        name: Of the new model; empty means one made from the catalogue's.
        index_kind: As in :class:`IndexRequest`.
        replace_catalogue: As in :class:`DeployRequest`.
    """

    kind: ClassVar[str] = "ready_made"
    catalogue: str = ""
    version: int | None = None
    name: str = ""
    index_kind: Literal["", "exact", "approximate"] = ""
    replace_catalogue: bool = False


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
class SimilarRequest:
    """Make the table of similar products that a shop's own page reads, or bring it up to date.

    Attributes:
        model: Name of a bundle; empty means the one at the alias.
        k: Similar products of each product.
        again: Whether everything is made again, whatever changed.
    """

    kind: ClassVar[str] = "similar"
    model: str = ""
    alias: str = "champion"
    k: int = 12
    again: bool = False


@dataclass(frozen=True, slots=True)
class SubstitutesRequest:
    """Find substitutes in stock of the products of a selection.

    Attributes:
        model: Name of a bundle; empty means the one at the alias.
        selection: ``sold out``; ``new`` since ``since``; ``list``, those of ``ids``; ``filter``, those that pass ``filters``;
            ``photos``, pictures in the folder, zip file or table at ``path``.
        since: ISO date or time.
        price, at_least, same, unknown: Limits of a substitute; see :class:`backend.merchandising.substitutes.twins.Limits`.
        k: Candidates for each.
    """

    kind: ClassVar[str] = "substitutes"
    model: str = ""
    alias: str = "champion"
    selection: Selection = "sold out"
    since: str = ""
    ids: list[str] = field(default_factory=list)
    filters: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    price: float | None = 15.0
    at_least: float = 0.0
    same: list[str] = field(default_factory=list)
    unknown: bool = False
    k: int = 5


@dataclass(frozen=True, slots=True)
class ReadinessRequest:
    """Tell how much of the range has a twin in stock, and whose last one sold out ``since``; limits as for substitutes."""

    kind: ClassVar[str] = "readiness"
    model: str = ""
    alias: str = "champion"
    since: str = ""
    price: float | None = 15.0
    at_least: float = 0.0
    same: list[str] = field(default_factory=list)
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class FidelityRequest:
    """Measure how much of the exact answer a model's index gives, and how fast."""

    kind: ClassVar[str] = "fidelity"
    model: str = ""
    k: int = 10
    queries: int = 1_000
