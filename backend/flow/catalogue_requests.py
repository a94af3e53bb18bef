"""What can be asked of a catalogue: one typed request for each kind of job; see :mod:`backend.flow.requests`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from backend.catalogue.items import GonePolicy  # noqa: TC001 - a field's type, asked for at run time
from backend.catalogue.split_plan import SplitPlan
from backend.errors import CatalogueError

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
        path: Where the source is; not for the built-in ones.
        columns: Column of the source by field of the product, for tables; guessed where empty.
        label_from: Whether the sub-folder gives the label, for folders and zip files.
        source_version: Version of a Delta table to read; None means the newest.
        table: Which table of a folder or zip describes the products, ``none`` for the pictures alone; the only one
            when empty.
        merge_labels: Whether labels that differ by case or blanks only become one.
        test_share: Fraction of each class that becomes the test split, where the source states no splits.
        unseen: Labels that are kept out of training.
        redraw: Whether products that the catalogue holds already get new splits.
        gone: What becomes of products that the source does not name.
        check_only: Whether to stop before the commit and report what it would do.
        measure_quality: Whether the pictures are measured afterwards.
        base: Web address that the table was fetched from, to which pictures in it are relative; empty for none.
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
    table: str = ""
    merge_labels: bool = False
    test_share: float = 0.2
    unseen: tuple[str, ...] = ()
    redraw: bool = False
    gone: GonePolicy = "keep"
    check_only: bool = False
    measure_quality: bool = True
    base: str = ""

    @property
    def catalogue_name(self) -> str:
        """The catalogue's name in force.

        Raises:
            CatalogueError: The source has no name of its own and none is given.
        """
        if not self.catalogue and self.source not in BUILT_IN:
            raise CatalogueError("The catalogue has no name.", next_step="Give it a name, for example `shop`.")
        return self.catalogue or self.source

    @property
    def splits(self) -> SplitPlan:
        """How products get their splits."""
        return SplitPlan(self.validation_share, self.test_share, self.seed, tuple(self.unseen), self.redraw)


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Fetch the pictures that a table names by web address, so that loads find them.

    Attributes:
        source, path, columns, table, source_version, base: As in :class:`IngestRequest`.
        confirm: Hosts that the user confirmed, besides those that the setting names.
        check_only: Whether to fetch a sample only, and estimate from it what all would take.
        only_failed: Whether those alone are asked that failed before.
        fresh_hours: Hours for which a picture is not asked again whether it changed.
    """

    kind: ClassVar[str] = "fetch"
    source: SourceName = "csv"
    path: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    table: str = ""
    source_version: int | None = None
    confirm: tuple[str, ...] = ()
    check_only: bool = False
    only_failed: bool = False
    fresh_hours: float = 1.0
    base: str = ""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Write the table that a catalogue was loaded from as it came, corrected as a load reads it.

    Attributes:
        catalogue: Its name.
        source, path, columns, table, source_version, base: As in :class:`IngestRequest`.
    """

    kind: ClassVar[str] = "export"
    catalogue: str = ""
    source: SourceName = "csv"
    path: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    table: str = ""
    source_version: int | None = None
    base: str = ""


@dataclass(frozen=True, slots=True)
class RenewRequest:
    """Load what a catalogue is loaded from again; ``confirmed`` says that many products may be missing from it."""

    kind: ClassVar[str] = "renew"
    catalogue: str = ""
    confirmed: bool = False


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
    """Change the splits of a catalogue: draw them again, or bring duplicates across splits into one.

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
