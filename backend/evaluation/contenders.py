"""Who is asked, and what: the model, what is beside it in every table, and the questions that all of them get."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from backend.catalogue.items import UNLABELLED
from backend.evaluation.baselines import RAW_PIXELS, Principal, RawPixels, baseline_spec, principal_name
from backend.evaluation.pictures import embed_in_order
from backend.evaluation.vectors import VectorParts
from backend.progress import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.evaluation.pictures import PictureReader, Pictures
    from backend.evaluation.report import RowKind
    from backend.imaging.spec import PixelSpec
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder

TEST = ("test",)


@dataclass(frozen=True, slots=True)
class Contender:
    """One that answers: the model, a baseline or another model; ``gallery`` is float32 (N, D) in the gallery's order."""

    name: str
    kind: RowKind
    embedder: Embedder
    gallery: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class OtherModel:
    """A further model to be scored beside the one under evaluation.

    Attributes:
        name: How the tables call it.
        load: Rebuilds its network.
        gallery: Its embeddings of the same gallery, in the same order; None where it has none yet.
    """

    name: str
    load: Callable[[], Embedder]
    gallery: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Ground:
    """The gallery and the test products that everybody is asked about.

    Attributes:
        reader: The catalogue version.
        ids, labels, splits: Of the N gallery items, in the order of the index.
        classes: Labels that the model was trained on.
        splits_in_gallery: The splits that the index holds.
    """

    reader: PictureReader
    ids: NDArray[np.str_]
    labels: NDArray[np.str_]
    splits: NDArray[np.str_]
    classes: tuple[str, ...]
    splits_in_gallery: tuple[str, ...]

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """Gallery items with a label: of one without, nobody can say whether it is a right answer."""
        return np.flatnonzero(self.labels != UNLABELLED)

    def gallery_of(self, contender: Contender) -> VectorParts:
        """Return a contender's embeddings of the items with a label."""
        parts = VectorParts((contender.gallery,))
        return parts if len(self.kept) == len(self.labels) else parts.only(self.kept)

    def is_seen(self, labels: NDArray[np.str_]) -> NDArray[np.bool_]:
        """Tell which labels the model was trained on."""
        return np.isin(labels, self.classes)

    def test(self, spec: PixelSpec, *, progress: Progress) -> Pictures:
        """Return the pictures of the test split as a network sees them."""
        return self.reader.read(TEST, spec, progress=progress)


def baselines(ground: Ground, spec: PixelSpec, folder: Path, *, progress: Progress) -> Iterator[Contender]:
    """Yield raw pixels and, fitted on the train split alone, PCA; their embeddings are in ``folder``."""
    reading, raw, fitting, projecting = Span.split(progress, [("", 4), ("", 1), ("", 1), ("", 1)])
    seen = baseline_spec(spec)
    pictures = ground.reader.read(ground.splits_in_gallery, seen, progress=reading, on_sale_only=True)
    pixels = RawPixels(seen)
    vectors = embed_in_order(pixels, pictures, ground.ids, folder / "raw.float32", progress=raw)
    yield Contender(RAW_PIXELS, "baseline", pixels, vectors)
    learnt = np.flatnonzero(np.isin(pictures.ids, ground.ids[ground.splits == "train"]))
    if len(learnt) >= 2:
        principal = Principal.fit(seen, pictures.pixels, learnt, progress=fitting)
        vectors = embed_in_order(principal, pictures, ground.ids, folder / "pca.float32", progress=projecting)
        yield Contender(principal_name(principal.size), "baseline", principal, vectors)


def other_contender(ground: Ground, other: OtherModel, path: Path, *, progress: Progress) -> Contender:
    """Load another model; the gallery is embedded into ``path`` where it has no index of the same one."""
    embedder = other.load()
    if other.gallery is not None:
        return Contender(other.name, "other", embedder, other.gallery)
    reading, embedding = Span.split(progress, [("", 1), ("", 2)])
    pictures = ground.reader.read(ground.splits_in_gallery, embedder.spec, progress=reading, on_sale_only=True)
    vectors = embed_in_order(embedder, pictures, ground.ids, path, progress=embedding)
    return Contender(other.name, "other", embedder, vectors)
