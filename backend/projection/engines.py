"""What draws a map: Twinset's own arrangement of UMAP, or umap-learn. Both are given the same, and return the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backend.progress import Progress
    from backend.projection.options import ProjectionOptions
    from backend.retrieval.indexes.neighbour_graph import NeighbourGraph


@dataclass(frozen=True, slots=True)
class Subject:
    """What an engine draws.

    Attributes:
        vectors: L2-normalised embeddings, float32 (N, D).
        labels: Their labels, of which an empty one is none; (N,).
        graph: Their neighbours, ``options.neighbours - 1`` or more of each.
        options: How to draw.
        starts: Where the products start, by dimension; float32 (N, 2) or (N, 3), ten wide. They are the principal
            components, for both engines, so that both maps are the same way round.
    """

    vectors: NDArray[np.float32]
    labels: NDArray[np.object_]
    graph: NeighbourGraph
    options: ProjectionOptions
    starts: dict[int, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What an engine made.

    Attributes:
        positions: By dimension; float32 (N, 2) or (N, 3).
        curve: a and b of the attraction, 1 / (1 + a d^(2b)).
        strengths: How strongly every two products were held together, in (0, 1]; symmetric scipy CSR matrix (N, N).
            Edges too weak to take part in any round are left out.
    """

    positions: dict[int, NDArray[np.float32]]
    curve: tuple[float, float]
    strengths: Any


class Draw(Protocol):
    """An engine: the same subject gives the same bytes every time on a machine."""

    def __call__(self, subject: Subject, *, threads: int, progress: Progress) -> Drawing:
        """Draw a map in the dimensions of ``subject.starts``; raises Cancelled where the user asked to stop.

        Args:
            subject: What to draw.
            threads: Cores to use; 0 means all.
            progress: Hears how many rounds are done, and may cancel.
        """
