"""Use case: pictures in, similar products out, all from one bundle."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from backend.bundles import bundle
from backend.errors import ImageRejected, RetrievalError
from backend.imaging import pixels
from backend.retrieval.arrange import Shown, Sought, arranged
from backend.retrieval.calibration import Calibration
from backend.retrieval.closeness import Judge, Spread
from backend.retrieval.fit import check_fit
from backend.retrieval.gallery.gallery import Gallery
from backend.retrieval.gallery.gallery_file import check_sizes
from backend.retrieval.indexes.further import PicturesIndex, likeness, shown_picture, with_further
from backend.retrieval.indexes.kinds import open_index
from backend.retrieval.indexes.weighed import weigh, weighed
from backend.retrieval.query_pictures import (
    QueryPictures,
    all_strange,
    embed_queries,
    example_picture,
    shows_nothing,
)
from backend.retrieval.recommendation import Neighbour, Recommendation, neighbour_of
from backend.retrieval.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Protocol

    from numpy.typing import NDArray

    from backend.bundles.bundle import Manifest
    from backend.imaging.pixels import DecodedImage
    from backend.imaging.region import Region
    from backend.retrieval.embedder import QueryEmbedder
    from backend.retrieval.filters import Filters
    from backend.retrieval.indexes.index import Index

    class EmbedderLoader(Protocol):
        """Rebuilds the network of a verified bundle, e.g. ``backend.training.embedder.load_query_embedder``."""

        def __call__(self, folder: Path, manifest: Manifest, *, threads: int) -> QueryEmbedder:
            """Load it; raises BundleError where the weights do not fit."""


NOTHING_SHOWN = "The picture is a uniform surface, so there is nothing to compare."
NOTHING_FITS = "No product in the gallery fits the filters."
_NO_WISHES = Wishes()

__all__ = ["NOTHING_FITS", "Neighbour", "Recommendation", "Recommender"]


class Recommender:
    """Model, index and gallery of one bundle; answers from any number of threads.

    Args:
        manifest: What the bundle says of itself.
        embedder: Its network.
        index: Its embeddings.
        gallery: Its items, in the order of the index.
        max_pixels: Largest picture that is decoded, in pixels.
        calibration: What its similarities are worth, once it was evaluated; that of another network is not used.
    """

    def __init__(
        self,
        manifest: Manifest,
        embedder: QueryEmbedder,
        index: Index,
        gallery: Gallery,
        *,
        max_pixels: int,
        calibration: Calibration | None = None,
    ) -> None:
        check_fit(manifest, embedder, index, gallery)
        self.manifest, self.gallery = manifest, gallery
        self.embedder, self._index = embedder, index
        self._pictures = QueryPictures(manifest.pixels, max_pixels)
        fits = calibration is not None and calibration.weights_hash == manifest.weights_hash
        self.calibration = calibration if fits else None

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        embedder_loader: EmbedderLoader,
        max_pixels: int = pixels.MAX_PIXELS,
        threads: int = 0,
    ) -> Recommender:
        """Verify a bundle and load all of it.

        Raises:
            BundleError: A file is missing, damaged or of another bundle; that is known before the network is loaded.
            RetrievalError: The bundle has no index yet.
        """
        check_sizes(folder, bundle.read_manifest(folder))
        manifest = bundle.verify(folder)
        gallery = Gallery.load(folder)
        index = with_further(open_index(folder, manifest), folder)
        calibration = Calibration.load(folder, classes=len(manifest.classes))
        embedder = embedder_loader(folder, manifest, threads=threads)
        return cls(manifest, embedder, index, gallery, max_pixels=max_pixels, calibration=calibration)

    @property
    def size(self) -> int:
        """Number of items that can be answered."""
        return self.gallery.size

    def recommend(
        self, images: Sequence[bytes], *, k: int, filters: Filters | None = None, region: Region | None = None
    ) -> list[Recommendation]:
        """Answer every picture with its k nearest products.

        Args:
            images: Encoded pictures, at least one.
            k: Neighbours wanted, at least 1.
            filters: Which products may be answered; see ``backend.retrieval.filters``.
            region: The part of the first picture that counts.

        Raises:
            ImageRejected: A picture is not usable; with several, the message says which.
            RetrievalError: k or a filter cannot be used, or there is no picture.
        """
        if not images:
            raise RetrievalError("There is no picture to compare.", next_step="Send at least one.")
        allowed = self.gallery.allowed(filters)
        return self._found(*self._pictures.decode(images, region), k=k, allowed=allowed)

    def recommend_each(
        self, images: Sequence[bytes], *, k: int, region: Region | None = None, colour_weight: float | None = None
    ) -> list[Recommendation | ImageRejected]:
        """Answer every picture that is usable with its k nearest products, and every other one with what is wrong with it.

        Of each picture, only the region counts, where one is given; ``colour_weight`` is that of the wishes.

        Raises:
            RetrievalError: k cannot be used, or the model cannot weigh colour.
        """
        tried = [self._pictures.tried(image, region) for image in images]
        usable = [one for one in tried if not isinstance(one, ImageRejected)]
        decoded, milliseconds = [image for image, _ in usable], [ms for _, ms in usable]
        answers = iter(self._found(decoded, milliseconds, k=k, colour_weight=colour_weight) if usable else ())
        return [one if isinstance(one, ImageRejected) else next(answers) for one in tried]

    def _found(
        self,
        decoded: list[DecodedImage],
        decode_ms: Sequence[float],
        *,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        colour_weight: float | None = None,
    ) -> list[Recommendation]:
        start = time.perf_counter()
        index = weighed(self._index, self.manifest, colour_weight)
        queries, are_strange = embed_queries(self.embedder, decoded)
        embedded = time.perf_counter()
        found = index.search(weigh(queries, index), k=k, allowed=allowed)
        searched = time.perf_counter()

        shared = {"embed": (embedded - start) * 1e3, "search": (searched - embedded) * 1e3}
        answers = []
        for row, (image, positions) in enumerate(zip(decoded, found.positions, strict=True)):
            is_own = index is self._index
            asked = queries[row : row + 1]
            alike = None if is_own else likeness(self._index, positions, asked)[:, 0]
            timings = {"decode": decode_ms[row], **shared}
            shown = [Shown(one, picture=shown_picture(self._index, one, asked)) for one in positions.tolist()]
            answer = partial(self._answer, is_strange=are_strange[row], is_weighed=not is_own)
            answers.append(answer([image], shown, found.distances[row], timings, alike))
        return answers

    def find(
        self,
        images: Sequence[bytes],
        *,
        k: int,
        filters: Filters | None = None,
        wishes: Wishes = _NO_WISHES,
        unlike: Sequence[bytes] = (),
        region: Region | None = None,
    ) -> Recommendation:
        """Answer one question that several pictures make together; see :class:`backend.retrieval.wishes.Wishes`.

        Similarity is to what the pictures show together; where products are turned away from, or the answer is varied,
        the order is another one. Where colour counts more or less than the model has it, so it does in the similarity;
        how close a product is was measured for the model as it is, and is judged by that, without a probability.

        Args:
            images: Encoded pictures, at least one.
            k: Neighbours wanted, at least 1.
            filters: Which products may be answered; see ``backend.retrieval.filters``.
            wishes: How the answer is to be.
            unlike: Encoded pictures to stay away from.
            region: The part of the first picture that counts.

        Raises:
            ImageRejected: A picture is not usable; with several, the message says which, those of ``unlike`` last.
            RetrievalError: k, a filter or a wish cannot be used, a product is not in the gallery, or there is no picture.
        """
        wishes = wishes.settled(has_groups=self.gallery.has_groups)
        if wishes.is_plain and len(images) == 1 and not unlike:
            return self.recommend(images, k=k, filters=filters, region=region)[0]
        if not images:
            raise RetrievalError("There is no picture to compare.", next_step="Send at least one.")
        index = weighed(self._index, self.manifest, wishes.colour_weight)
        allowed = self.gallery.allowed(filters)
        decoded, decode_ms = self._pictures.decode([*images, *unlike], region)
        started = time.perf_counter()
        embedded, are_strange = embed_queries(self.embedder, decoded)
        between = time.perf_counter()
        liked, unliked = self._named(wishes.like), self._named(wishes.unlike)
        weights = (*wishes.weights, *(1.0 for _ in liked)) if wishes.weights else ()
        pictured = np.concatenate([embedded[: len(images)], self._index.embeddings(liked)])
        avoided = np.concatenate([embedded[len(images) :], self._index.embeddings(unliked)])
        sought = Sought.of(pictured, avoided, weights, index)
        if len(unliked):
            allowed = np.ones(self.size, dtype=np.bool_) if allowed is None else allowed
            allowed[unliked] = False
        shown = arranged(sought.towards, index, self.gallery, self.manifest.pixels, k=k, allowed=allowed, wishes=wishes)
        distances, alike = sought.measured(shown, index, self._index)
        timings = {
            "decode": sum(decode_ms),
            "embed": (between - started) * 1e3,
            "search": (time.perf_counter() - between) * 1e3,
        }
        pictures, is_weighed = decoded[: len(images)], index is not self._index
        is_strange = None if wishes.like else all_strange(are_strange[: len(images)])
        shown = [replace(one, picture=shown_picture(self._index, one.position, sought.parts)) for one in shown]
        return self._answer(pictures, shown, distances, timings, alike, is_strange=is_strange, is_weighed=is_weighed)

    def _named(self, ids: Sequence[str]) -> NDArray[np.int64]:
        return np.asarray([self.gallery.position(name) for name in ids], dtype=np.int64)

    def warm_up(self) -> Recommendation:
        """Answer one picture made up here and return that, so that the first real one does not pay for what is built on first use."""
        self.gallery.preload()
        return self.recommend([example_picture(self.manifest.pixels)], k=1)[0]

    def _answer(
        self,
        images: Sequence[DecodedImage],
        shown: Sequence[Shown],
        distances: NDArray[np.float32],
        timings_ms: dict[str, float],
        alike: NDArray[np.float32] | None,
        *,
        is_strange: bool | None,
        is_weighed: bool,
    ) -> Recommendation:
        items = self.gallery.items([one.position for one in shown])
        is_empty = bool(is_strange) and all(map(shows_nothing, images))
        alike = 1.0 - distances.astype(np.float64) if alike is None else alike
        nearest = float(alike.max(initial=-1.0))
        worth = [self._judge.verdict(likely, nearest=nearest, is_strange=is_strange) for likely in alike.tolist()]
        worth = [replace(one, probability=None) for one in worth] if is_weighed else worth
        hidden = [tuple(item.product_id for item in self.gallery.items(one.hidden)) for one in shown]
        found = zip(items, hidden, distances.tolist(), worth, (one.picture for one in shown), strict=True)
        neighbours = tuple(neighbour_of(rank, *one) for rank, one in enumerate(found, 1))
        verdicts = {neighbour.is_match for neighbour in neighbours} - {None}
        notes = dict.fromkeys(note for image in images for note in image.notes)
        said = (*notes, *([NOTHING_SHOWN] if is_empty else []), *([] if neighbours else [NOTHING_FITS]))
        seen, *others = (image.to_png() for image in images)
        match, size = any(verdicts) if verdicts else None, images[0].info.upright
        return Recommendation(neighbours, said, seen, timings_ms, match, tuple(others), size)

    @cached_property
    def _judge(self) -> Judge:
        """Made with the first answer: what is near in this gallery has to be looked for."""
        first = self._index.first if isinstance(self._index, PicturesIndex) else self._index
        return Judge(self.calibration, Spread.of(first, self.gallery.splits))
