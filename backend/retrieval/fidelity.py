"""How much of the exact answer an index gives, and how fast, the exact kind beside the approximate one.

Fidelity@k is the share of the exact k nearest items that an index returns. It is asked with queries that are made up
near items of the gallery and are none, so that nobody's label or picture has a say in which kind is chosen.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles import bundle
from backend.errors import RetrievalError
from backend.retrieval.indexes.approximate import ApproximateIndex, made_up_queries
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.kinds import EXACT, load_vectors, no_index, open_index

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.progress import Progress
    from backend.retrieval.indexes.index import Index

QUERIES = (10, 5_000)  # fewest, most
_TIMED = 500  # of them, one at a time
_WARM = 20
_SEED = 23
_BATCH = 100


@dataclass(frozen=True, slots=True)
class ArmReport:
    """What one kind of index gave; times of one query alone, in ms.

    Attributes:
        kind: ``exact`` or ``approximate``.
        fidelity: Share of the exact k nearest that it found, in [0, 1].
        p50_ms, p95_ms: Median and 95th percentile.
        is_served: Whether it is the kind that the model has.
    """

    kind: str
    fidelity: float
    p50_ms: float
    p95_ms: float
    is_served: bool


@dataclass(frozen=True, slots=True)
class FidelityReport:
    """Fidelity and latency of a model's index; ``kind``, ``fidelity`` and times are those of the kind that it has.

    Attributes:
        model: Name of the bundle.
        kind: ``exact`` or ``approximate``.
        k: Neighbours asked for.
        queries: Queries asked.
        size: Items of the index.
        fidelity: Share of the exact k nearest that were found.
        p50_ms, p95_ms: Of one query alone.
        arms: Every kind, the one that the model does not have as it would be.
        catalogue, catalogue_version, generation: What the index was made from, and how often it was refreshed.
        measured_at: ISO time in UTC.
    """

    model: str
    kind: str
    k: int
    queries: int
    size: int
    fidelity: float
    p50_ms: float
    p95_ms: float
    arms: tuple[ArmReport, ...]
    catalogue: str
    catalogue_version: int
    generation: int
    measured_at: str

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "arms": [asdict(arm) for arm in self.arms]}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> FidelityReport:
        """Build a report from what :meth:`as_dict` returned."""
        return cls(**{**raw, "arms": tuple(ArmReport(**arm) for arm in raw["arms"])})


def measure_fidelity(folder: Path, *, k: int = 10, queries: int = 1_000, progress: Progress) -> FidelityReport:
    """Measure the index of a bundle, and the other kind as it would be for the same embeddings.

    Args:
        folder: The bundle.
        k: Neighbours to ask for.
        queries: Queries to ask.
        progress: Told the queries asked, asked whether to stop.

    Raises:
        BundleError: The bundle is damaged.
        RetrievalError: It has no index yet, or k or the number of queries is out of range.
        Cancelled: The user asked to stop.
    """
    manifest = bundle.verify(folder)
    info = manifest.index
    if info is None:
        raise no_index(folder)
    _check(k, queries, info.size)
    progress.report(0, queries, unit="queries", note="Opening the index")
    vectors = load_vectors(folder)
    served = open_index(folder, manifest)
    other: Index = ApproximateIndex(vectors) if info.kind == EXACT else ExactIndex(vectors)
    exact, approximate = (served, other) if info.kind == EXACT else (other, served)
    asked = made_up_queries(vectors, queries, seed=_SEED)
    shares = {"exact": 1.0, "approximate": _fidelity(approximate, exact, asked, k, progress)}
    times = latencies({"exact": exact, "approximate": approximate}, asked[:_TIMED], k=k)
    arms = tuple(_arm(kind, shares[kind], times[kind], is_served=kind == info.kind) for kind in shares)
    own = next(arm for arm in arms if arm.is_served)
    return FidelityReport(
        model=manifest.name,
        kind=info.kind,
        k=k,
        queries=len(asked),
        size=info.size,
        fidelity=own.fidelity,
        p50_ms=own.p50_ms,
        p95_ms=own.p95_ms,
        arms=arms,
        catalogue=info.catalogue.name,
        catalogue_version=info.catalogue.version,
        generation=info.generation,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _check(k: int, queries: int, size: int) -> None:
    if not 1 <= k <= size:
        raise RetrievalError(f"k must be in 1..{size}, got {k}.", next_step="For example 10.")
    if not QUERIES[0] <= queries <= QUERIES[1]:
        raise RetrievalError(f"Use {QUERIES[0]} to {QUERIES[1]:,} queries, not {queries}.")


def _fidelity(index: Index, exact: Index, asked: NDArray[np.float32], k: int, progress: Progress) -> float:
    found = 0.0
    for start in range(0, len(asked), _BATCH):
        progress.check_cancelled()
        part = asked[start : start + _BATCH]
        found += share_found(index.search(part, k=k).positions, exact.search(part, k=k).positions) * len(part)
        progress.report(min(start + _BATCH, len(asked)), len(asked), unit="queries", note="Querying both kinds")
    return found / len(asked)


def share_found(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Return fidelity@k: the share of the true neighbours (Q, k) that were found, in whatever order."""
    hits = [np.isin(right, given).mean() for given, right in zip(found, truth, strict=True)]
    return float(np.mean(hits)) if hits else 1.0


def latencies(indexes: Mapping[str, Index], queries: NDArray[np.float32], *, k: int) -> dict[str, Sequence[float]]:
    """Ask every index each query alone, taking turns; returns the seconds by name."""
    for index in indexes.values():
        for query in queries[:_WARM]:
            index.search(query[None], k=k)
    times: dict[str, list[float]] = {name: [] for name in indexes}
    for query in queries:
        for name, index in indexes.items():
            start = time.perf_counter()
            index.search(query[None], k=k)
            times[name].append(time.perf_counter() - start)
    return dict(times)


def _arm(kind: str, fidelity: float, seconds: Sequence[float], *, is_served: bool) -> ArmReport:
    median, late = np.percentile(seconds, [50, 95]) * 1e3
    return ArmReport(kind, round(fidelity, 5), round(float(median), 4), round(float(late), 4), is_served)
