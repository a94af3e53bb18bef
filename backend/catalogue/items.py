"""The words of the catalogue: the product row, the splits, and a catalogue at one version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Split = Literal["train", "validation", "test", "gallery-only"]
SPLITS: tuple[Split, ...] = get_args(Split)
GALLERY_SPLITS: tuple[Split, ...] = ("train", "validation", "gallery-only")

PRODUCTS = "products"
QUARANTINE = "quarantine"

# The columns of the Delta table ``products``, in order: name, Spark SQL type, may be null.
PRODUCT_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("product_id", "string", False),
    ("image", "binary", False),
    ("image_sha256", "string", False),
    ("width", "int", False),
    ("height", "int", False),
    ("channels", "int", False),
    ("label", "string", False),
    ("split", "string", False),
    ("title", "string", True),
    ("category", "string", True),
    ("brand", "string", True),
    ("colour", "string", True),
    ("price", "double", True),
    ("stock", "int", True),
    ("source", "string", False),
    ("ingested_at", "timestamp", False),
)
# The columns of ``quarantine``: what was rejected, why, and the bytes if there were any.
QUARANTINE_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("product_id", "string", True),
    ("image", "binary", True),
    ("label", "string", True),
    ("split", "string", True),
    ("reason", "string", False),
    ("source", "string", False),
    ("ingested_at", "timestamp", False),
)
# What a merchandiser reads on a product card; these travel into the gallery of a bundle.
DISPLAY_COLUMNS: tuple[str, ...] = ("title", "category", "brand", "colour", "price", "stock")


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
    """

    name: str
    version: int
    committed_at: str
    rows: int
    quarantined: int
    by_split: dict[str, int] = field(default_factory=dict)
    by_label: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Product:
    """One product row as screens show it; ``image`` is the encoded original."""

    product_id: str
    label: str
    split: str
    image: bytes
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    colour: str | None = None
    price: float | None = None
    stock: int | None = None


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingestion did; ``rejected`` counts quarantined rows by reason."""

    catalogue: str
    version: int
    kept: int
    rejected: dict[str, int]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {
            "catalogue": self.catalogue,
            "version": self.version,
            "kept": self.kept,
            "rejected": dict(self.rejected),
            "seconds": round(self.seconds, 3),
        }
