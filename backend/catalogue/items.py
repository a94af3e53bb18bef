"""The words of the catalogue: the product row, the splits, and a catalogue at one version."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from backend.catalogue.fields import COLUMNS, NAMES, Details

Split = Literal["train", "validation", "test", "gallery-only"]
SPLITS: tuple[Split, ...] = get_args(Split)
# What is searched is every product that is not withdrawn. What is scored is a gallery without the test split: a product
# that finds itself proves nothing.
GALLERY_SPLITS: tuple[Split, ...] = SPLITS
SCORED_SPLITS: tuple[Split, ...] = ("train", "validation", "gallery-only")
# The splits between which the same picture is a leak: what is learnt from one is asked about in another.
LEAKING_SPLITS: tuple[Split, ...] = ("train", "validation", "test")

# What happens to the products of a catalogue that a source does not name (any more).
GonePolicy = Literal["keep", "mark", "delete"]
GONE_POLICIES: tuple[GonePolicy, ...] = get_args(GonePolicy)

PRODUCTS = "products"
PICTURES = "pictures"
PICTURE_BYTES = "picture_bytes"
QUARANTINE = "quarantine"
QUALITY = "quality"

# What the products of each split are used for, as whoever keeps a catalogue reads it.
USES: dict[str, str] = {
    "train": "Learning",
    "validation": "Progress check",
    "test": "Final check",
    "gallery-only": "Answers only",
}

# The label of a product whose source gives it none: it can be found, but neither learnt from nor judged by.
UNLABELLED = ""

FURTHER_HASH = "further_sha256"  # one hash over all further pictures of a product
# The columns of the Delta table ``products``, in order: name, Spark SQL type, may be null.
PRODUCT_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("product_id", "string", False),
    ("image_sha256", "string", False),  # of its first picture, as are the next three
    ("width", "int", False),
    ("height", "int", False),
    ("channels", "int", False),
    (FURTHER_HASH, "string", True),
    ("label", "string", False),
    ("split", "string", False),
    *COLUMNS,
    ("source", "string", False),
    ("ingested_at", "timestamp", False),
    ("withdrawn_at", "timestamp", True),
)
# What Delta refuses to store, whoever writes: name of the CHECK constraint, condition.
PRODUCT_CONSTRAINTS: tuple[tuple[str, str], ...] = (
    ("id_not_empty", "length(product_id) > 0"),
    ("sha256_complete", "length(image_sha256) = 64"),
    ("size_positive", "width > 0 AND height > 0"),
    ("channels_known", "channels IN (1, 3)"),
    ("split_known", f"split IN ({', '.join(repr(split) for split in SPLITS)})"),
    ("unlabelled_gallery_only", f"label <> '{UNLABELLED}' OR split = 'gallery-only'"),
    ("price_not_negative", "price IS NULL OR price >= 0"),
    ("stock_not_negative", "stock IS NULL OR stock >= 0"),
    ("sale_price_not_negative", "sale_price IS NULL OR sale_price >= 0"),
)
# The columns of ``pictures``: which pictures a product has, in its own order. The first one stands in ``products``, too.
PICTURE_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("product_id", "string", False),
    ("position", "int", False),
    ("role", "string", False),
    ("image_sha256", "string", False),
)
ROLES = FIRST, FURTHER = "first", "further"
PICTURE_CONSTRAINTS: tuple[tuple[str, str], ...] = (
    ("id_not_empty", "length(product_id) > 0"),
    ("position_not_negative", "position >= 0"),
    ("role_known", f"role IN ({', '.join(map(repr, ROLES))})"),
    ("sha256_complete", "length(image_sha256) = 64"),
)
# The columns of ``picture_bytes``: every picture once, whoever shows it and at whatever version.
BYTES_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("image_sha256", "string", False),
    ("image", "binary", False),
    ("width", "int", False),
    ("height", "int", False),
    ("channels", "int", False),
)
BYTES_CONSTRAINTS: tuple[tuple[str, str], ...] = (
    ("picture_not_empty", "length(image) > 0"),
    ("sha256_complete", "length(image_sha256) = 64"),
    ("size_positive", "width > 0 AND height > 0"),
    ("channels_known", "channels IN (1, 3)"),
)
# The columns of ``quarantine``: the row as far as it was understood, as its source gave it, and why it was rejected.
QUARANTINE_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("product_id", "string", True),
    ("image", "binary", True),
    ("image_sha256", "string", True),
    ("label", "string", True),
    ("split", "string", True),
    *COLUMNS,
    ("source_row", "string", True),
    ("reason", "string", False),
    ("source", "string", False),
    ("ingested_at", "timestamp", False),
)
# The columns of ``quality``: what Spark measured of every picture, by the hash of its bytes.
QUALITY_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("image_sha256", "string", False),
    ("brightness", "float", False),
    ("contrast", "float", False),
    ("sharpness", "float", False),
    ("entropy", "float", False),
    ("phash", "string", False),
)
# What a merchandiser reads on a product card; these travel into the gallery of a bundle.
DISPLAY_COLUMNS = NAMES
# The columns of a table of rejected rows, as it is exported and may be loaded again.
REJECTED_COLUMNS = ("product_id", "image", "label", "split", *DISPLAY_COLUMNS, "reason", "source", "source_row")
# What may change about a product while its picture stays.
DETAIL_COLUMNS: tuple[str, ...] = ("label", "split", *DISPLAY_COLUMNS)


@dataclass(frozen=True, slots=True)
class CatalogueSummary:
    """A catalogue at one version, in counts.

    Attributes:
        name: The catalogue's name.
        version: Delta version of its ``products`` table.
        committed_at: ISO time of that commit.
        rows: Number of products.
        quarantined: Rows in ``quarantine``.
        by_split: Products by split.
        by_label: Products by label and split, ``{label: {split: count}}``.
        withdrawn: Products that are marked as gone from their source; they are in no gallery.
    """

    name: str
    version: int
    committed_at: str
    rows: int
    quarantined: int
    by_split: dict[str, int] = field(default_factory=dict)
    by_label: dict[str, dict[str, int]] = field(default_factory=dict)
    withdrawn: int = 0

    @property
    def labels(self) -> list[str]:
        """Every label, in order; none where no product has one."""
        return sorted(label for label in self.by_label if label != UNLABELLED)


@dataclass(frozen=True, slots=True)
class Product(Details):
    """One product row as screens show it; ``image`` is the encoded original."""

    product_id: str
    label: str
    split: str
    image: bytes
    is_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Rejected(Details):
    """One row of the quarantine; ``image`` are the bytes that came, a picture or not, None where none came.

    ``source_row`` is the row as its source gave it, as JSON text; None for sources without rows.
    """

    product_id: str | None
    reason: str
    image: bytes | None
    label: str | None
    split: str | None
    source: str
    source_row: str | None = None

    @property
    def code(self) -> str:
        """The machine-readable first word of the reason."""
        return self.reason.partition(":")[0]

    @property
    def sentence(self) -> str:
        """The reason in words."""
        return self.reason.partition(":")[2].strip() or self.reason


@dataclass(frozen=True, slots=True)
class LoadCounts:
    """What a load does to the products of a catalogue.

    Attributes:
        new: Products that the catalogue does not hold yet.
        changed: Products whose picture or details differ from what it holds, withdrawn ones that are back included.
        unchanged: Products that are as they were; nothing of them is written.
        gone: Products of the catalogue that the source does not name; the policy says what becomes of them.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingestion found and did, or would do.

    Attributes:
        catalogue: Name of the catalogue.
        source: Name of the source.
        base_version: Version that the source was compared with; None where there was no catalogue yet.
        version: Version that holds the load: a new one, or the base where there was nothing to commit; None while
            nothing was decided (a check without a commit).
        staged: Name of the staged load that ``commit`` takes, empty once it is committed.
        kept: Usable rows of the source.
        rejected: Rows that went to quarantine, by reason.
        counts: New, changed, unchanged, gone.
        gone_policy: What happens to those that are gone.
        by_split: Usable rows by split.
        by_label: Usable rows by label.
        duplicates: Usable rows whose picture another usable row has too, byte for byte.
        leaks: Pictures that are in more than one of train, validation and test.
        warnings: Usable rows of which something was emptied or guessed, by what; the notes say each in a sentence.
        notes: Sentences for the user, e.g. about a base that moved.
        seconds: How long it took.
        reading: What a table was recognised as, which column is what, and what became of its rows, see
            ``sources.tables.reading``; empty for other sources.
    """

    catalogue: str
    source: str
    base_version: int | None
    version: int | None
    kept: int
    rejected: dict[str, int]
    counts: LoadCounts
    seconds: float
    gone_policy: GonePolicy = "keep"
    staged: str = ""
    by_split: dict[str, int] = field(default_factory=dict)
    by_label: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    leaks: int = 0
    warnings: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reading: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**asdict(self), "notes": list(self.notes), "seconds": round(self.seconds, 3)}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> IngestReport:
        """Build a report from what :meth:`as_dict` returned."""
        return cls(**{**raw, "counts": LoadCounts(**raw["counts"]), "notes": tuple(raw["notes"])})
