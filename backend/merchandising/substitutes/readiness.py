"""Readiness: how much of the range has a twin in stock, and whose last one sold out since."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import CatalogueError
from backend.merchandising.substitutes.twins import Comparing, Limits, Seeds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.merchandising.similar.source import Source
    from backend.merchandising.substitutes.shelf import Shelf
    from backend.progress import Progress

_BY = ("category", "label")


@dataclass(frozen=True, slots=True)
class Share:
    """Products, and how many of them have a twin in stock."""

    products: int
    with_twin: int

    @classmethod
    def of(cls, has_twin: NDArray[np.bool_]) -> Share:
        """Count products, (P,)."""
        return cls(len(has_twin), int(has_twin.sum()))

    @property
    def share(self) -> float:
        """The share with a twin, from 0 to 1; 0 of no product."""
        return self.with_twin / self.products if self.products else 0.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """How ready a range is for what sells out.

    Attributes:
        catalogue, version: What the stock is from.
        price: How far the price of a twin may be, percent; None: any price.
        sold_out: Of the products that are out of stock.
        whole: Of all products; None where only those out of stock were looked at.
        unknown: Products whose stock is not stated.
        reasons: Products out of stock without a twin, by why.
        by: Of all products by category and by label, ``{"category": {name: share}, …}``, by name.
        since_version: Version that is compared with; None where none is.
        since: When the catalogue was at that version, ISO time.
        lost: Ids of products whose last twin sold out or was withdrawn since then.
    """

    catalogue: str
    version: int
    price: float | None
    sold_out: Share
    whole: Share | None = None
    unknown: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    by: dict[str, dict[str, Share]] = field(default_factory=dict)
    since_version: int | None = None
    since: str = ""
    lost: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The figure in one sentence; empty where nothing is out of stock."""
        if not self.sold_out.products:
            return ""
        within = "" if self.price is None else f" within {self.price:g} % of the price"
        found, many = self.sold_out, self.sold_out.products != 1
        return (
            f"{found.with_twin:,} of {found.products:,} sold-out product{'s' * many} "
            f"{'have' if many else 'has'} an in-stock twin{within}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {**asdict(self), "sentence": self.sentence}


def sold_out_readiness(source: Source, shelf: Shelf, progress: Progress, *, limits: Limits | None = None) -> Readiness:
    """Tell how many products that are out of stock have a twin in stock; see :func:`readiness`."""
    limits = limits or Limits()
    _require_stock(source, shelf)
    positions = np.flatnonzero(shelf.is_sold_out)
    reasons = Comparing(source, shelf, limits).twins(Seeds.at(source, positions), 1, progress).reasons
    return _of(source, shelf, limits, reasons)


def readiness(
    source: Source,
    shelf: Shelf,
    progress: Progress,
    *,
    limits: Limits | None = None,
    before: Shelf | None = None,
    since: str = "",
) -> Readiness:
    """Tell how much of the range has a twin in stock.

    Args:
        source: What is searched.
        shelf: What the catalogue says of it now.
        progress: Told the products looked at, asked whether to stop.
        limits: What a twin has to fulfil.
        before: What the catalogue said earlier; left out, nothing is compared.
        since: When that was, ISO time.

    Raises:
        CatalogueError: No product states its stock.
        Cancelled: The user asked to stop.
    """
    limits = limits or Limits()
    _require_stock(source, shelf)
    offered = np.flatnonzero(shelf.is_offered)
    found = Comparing(source, shelf, limits).twins(Seeds.at(source, offered), 1, progress)
    has_twin = found.has_twin
    whole = replace(
        _of(source, shelf, limits, found.reasons[shelf.is_sold_out[offered]]),
        whole=Share.of(has_twin),
        by={name: _shares(shelf, name, offered, has_twin) for name in _BY},
    )
    if before is None:
        return whole
    lost = _lost(source, shelf, before, limits, offered[~has_twin], progress)
    return replace(whole, since_version=before.version, since=since, lost=lost)


def _of(source: Source, shelf: Shelf, limits: Limits, reasons: NDArray[np.str_]) -> Readiness:
    """Return the figures of the products that are out of stock, from why each has no twin."""
    counted = dict(sorted(Counter(reasons[reasons != ""].tolist()).items()))
    unknown = int((shelf.is_offered & ~shelf.is_sold_out & ~shelf.is_in_stock).sum())
    catalogue = source.manifest.searched.name
    return Readiness(catalogue, shelf.version, limits.price, Share.of(reasons == ""), unknown=unknown, reasons=counted)


def _lost(
    source: Source, shelf: Shelf, before: Shelf, limits: Limits, without: NDArray[np.int64], progress: Progress
) -> tuple[str, ...]:
    """Return the products without a twin now whose twins of then are all gone: among these at least one must be."""
    gone = before.can_be_bought(unknown=limits.unknown) & ~shelf.can_be_bought(unknown=limits.unknown)
    if not gone.any():
        return ()
    found = Comparing(source, before, limits, allowed=gone).twins(Seeds.at(source, without), 1, progress)
    return tuple(source.ids.take(without[found.has_twin]).to_pylist())


def _shares(shelf: Shelf, column: str, offered: NDArray[np.int64], has_twin: NDArray[np.bool_]) -> dict[str, Share]:
    known, codes = np.unique(np.asarray(shelf.names(column), np.object_)[offered].astype(str), return_inverse=True)
    return {str(name): Share.of(has_twin[codes == at]) for at, name in enumerate(known) if name}


def _require_stock(source: Source, shelf: Shelf) -> None:
    if not shelf.states_stock:
        raise CatalogueError(
            f"No product of {source.manifest.searched.name} states its stock.",
            next_step="Load a table with a column for stock or availability.",
        )
