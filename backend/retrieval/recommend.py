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
from backend.retrieval.arrange import Asked, Shown, Sought, by_price, without
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
from backend.retrieval.recommendation import NOTHING_FITS, Neighbour, Recommendation, neighbours_of, recommendation_of
from backend.retrieval.rules.answering import RuledAnswers
from backend.retrieval.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.bundles.bundle import Manifest
    from backend.imaging.pixels import DecodedImage
    from backend.imaging.region import Region
    from backend.retrieval.embedder import EmbedderLoader, QueryEmbedder
    from backend.retrieval.filters import Filters
    from backend.retrieval.indexes.index import Index
    from backend.retrieval.rules.compiled import CompiledRules

_NO_WISHES = Wishes()
_AS_FOUND = Wishes(collapse="none")

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
        self.manifest, self.gallery, self.embedder, self._index = manifest, gallery, embedder, index
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
        self,
        images: Sequence[bytes],
        *,
        k: int,
        filters: Filters | None = None,
        region: Region | None = None,
        rules: CompiledRules | None = None,
    ) -> list[Recommendation]:
        """Answer every picture with its k nearest products.

        Args:
            images: Encoded pictures, at least one.
            k: Neighbours wanted, at least 1.
            filters: Which products may be answered; see ``backend.retrieval.filters``.
            region: The part of the first picture that counts.
            rules: Those in force; none when left out.

        Raises:
            ImageRejected: A picture is not usable; with several, the message says which.
            RetrievalError: k or a filter cannot be used, or there is no picture.
        """
        if not images:
            raise RetrievalError("There is no picture to compare.", next_step="Send at least one.")
        allowed = self.gallery.allowed(filters)
        return self._found(*self._pictures.decode(images, region), k=k, allowed=allowed, rules=rules)

    def recommend_each(
        self,
        images: Sequence[bytes],
        *,
        k: int,
        region: Region | None = None,
        colour_weight: float | None = None,
        rules: CompiledRules | None = None,
    ) -> list[Recommendation | ImageRejected]:
        """Answer every picture that is usable with its k nearest products, and every other one with what is wrong with it.

        Of each picture, only the region counts, where one is given; ``colour_weight`` is that of the wishes.

        Raises:
            RetrievalError: k cannot be used, or the model cannot weigh colour.
        """
        tried = [self._pictures.tried(image, region) for image in images]
        usable = [one for one in tried if not isinstance(one, ImageRejected)]
        decoded, milliseconds = [image for image, _ in usable], [ms for _, ms in usable]
        found = partial(self._found, decoded, milliseconds, k=k, colour_weight=colour_weight, rules=rules)
        answers = iter(found() if usable else ())
        return [one if isinstance(one, ImageRejected) else next(answers) for one in tried]

    def _found(
        self,
        decoded: list[DecodedImage],
        decode_ms: Sequence[float],
        *,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        colour_weight: float | None = None,
        rules: CompiledRules | None = None,
    ) -> list[Recommendation]:
        start = time.perf_counter()
        index = weighed(self._index, self.manifest, colour_weight)
        queries, are_strange = embed_queries(self.embedder, decoded)
        embedded = time.perf_counter()
        towards, is_own, by = weigh(queries, index), index is self._index, self._answers(index)
        parts = zip(towards, queries[:, None], are_strange, strict=True)
        asked = [Asked(one, each, k, _AS_FOUND, (), allowed, is_strange) for one, each, is_strange in parts]
        ruled = [by.shown(one, rules) for one in asked]
        found = index.search(towards[[one is None for one in ruled]], k=k, allowed=allowed)
        plain = iter(zip(found.positions, found.distances, strict=True))
        shared = {"embed": (embedded - start) * 1e3, "search": (time.perf_counter() - embedded) * 1e3}
        answers = []
        for image, ms, one, shown in zip(decoded, decode_ms, asked, ruled, strict=True):
            if shown is None:
                positions, distances = next(plain)
                shown = [Shown(position) for position in positions.tolist()]  # noqa: PLW2901
            else:
                positions = np.asarray([other.position for other in shown], dtype=np.int64)
                distances = (1.0 - likeness(index, positions, one.towards[None])[:, 0]).clip(0.0, 2.0)
            alike = None if is_own else likeness(self._index, positions, one.vectors)[:, 0]
            pictured = [
                replace(other, picture=shown_picture(self._index, other.position, one.vectors)) for other in shown
            ]
            answer = partial(self._answer, is_strange=one.is_strange, is_weighed=not is_own)
            answers.append(answer([image], pictured, distances, {"decode": ms, **shared}, alike))
        return answers

    def _answers(self, index: Index) -> RuledAnswers:
        judge = self._judge if index is self._index else None  # closeness was measured for the model as it is
        return RuledAnswers(index, self.gallery, self.manifest.pixels, judge)

    def find(
        self,
        images: Sequence[bytes],
        *,
        k: int,
        filters: Filters | None = None,
        wishes: Wishes = _NO_WISHES,
        unlike: Sequence[bytes] = (),
        region: Region | None = None,
        rules: CompiledRules | None = None,
    ) -> Recommendation:
        """Answer one question that several pictures make together; see :class:`backend.retrieval.wishes.Wishes`.

        Similarity is to what the pictures show together; where products are turned away from, or the answer is varied,
        the order is another one. Where colour counts more or less than the model has it, so it does in the similarity;
        how close a product is was measured for the model as it is, and is judged by that, without a probability.

        Args:
            images: Encoded pictures; at least one, unless products are named to look like: those are not in the answer.
            k: Neighbours wanted, at least 1.
            filters: Which products may be answered; see ``backend.retrieval.filters``.
            wishes: How the answer is to be.
            unlike: Encoded pictures to stay away from.
            region: The part of the first picture that counts.
            rules: Those in force; none when left out.

        Raises:
            ImageRejected: A picture is not usable; with several, the message says which, those of ``unlike`` last.
            RetrievalError: k, a filter or a wish cannot be used, a product is not in the gallery, or there is no picture.
        """
        wishes = wishes.settled(has_groups=self.gallery.has_groups)
        if wishes.is_plain and len(images) == 1 and not unlike:
            return self.recommend(images, k=k, filters=filters, region=region, rules=rules)[0]
        if not images and not wishes.like:
            raise RetrievalError("There is no picture to compare.", next_step="Send at least one.")
        index = weighed(self._index, self.manifest, wishes.colour_weight)
        allowed = self.gallery.allowed(filters)
        decoded, decode_ms = self._pictures.decode([*images, *unlike], region)
        started = time.perf_counter()
        embedded, are_strange = embed_queries(self.embedder, decoded)
        between = time.perf_counter()
        liked, unliked = self.gallery.positions(wishes.like), self.gallery.positions(wishes.unlike)
        weights = (*wishes.weights, *(1.0 for _ in liked)) if wishes.weights else ()
        pictured = np.concatenate([embedded[: len(images)], self._index.embeddings(liked)])
        avoided = np.concatenate([embedded[len(images) :], self._index.embeddings(unliked)])
        sought = Sought.of(pictured, avoided, weights, index)
        allowed = without(allowed, unliked if images else np.concatenate([unliked, liked]), self.size)
        is_strange = None if wishes.like else all_strange(are_strange[: len(images)])
        asked = Asked(sought.towards, sought.parts, k, wishes, tuple(liked.tolist()), allowed, is_strange)
        answers = self._answers(index)
        shown = answers.unruled(asked) if (ruled := answers.shown(asked, rules)) is None else ruled
        shown = by_price(shown, self.gallery, wishes.sort)
        distances, alike = sought.measured(shown, index, self._index)
        embed_ms, search_ms = (between - started) * 1e3, (time.perf_counter() - between) * 1e3
        timings = {"decode": sum(decode_ms), "embed": embed_ms, "search": search_ms}
        pictures, is_weighed = decoded[: len(images)] or self._pictured(liked), index is not self._index
        shown = [replace(one, picture=shown_picture(self._index, one.position, sought.parts)) for one in shown]
        return self._answer(pictures, shown, distances, timings, alike, is_strange=is_strange, is_weighed=is_weighed)

    def _pictured(self, liked: NDArray[np.int64]) -> list[DecodedImage]:
        """Return the first of some products as screens show it, where no picture was sent."""
        return self._pictures.decode([self.gallery.thumbnail(int(liked[0]))])[0]

    def embedding(self, image: bytes) -> NDArray[np.float32]:
        """Return the embedding of a picture, a unit vector (D,); raises ImageRejected."""
        found: NDArray[np.float32] = embed_queries(self.embedder, self._pictures.decode([image])[0])[0][0]
        return found

    def warm_up(self) -> Recommendation:
        """Answer one picture made up here and return that: the first real one does not pay for what is built on first use."""
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
        alike = 1.0 - distances.astype(np.float64) if alike is None else alike
        nearest = float(alike.max(initial=-1.0))
        worth = [self._judge.verdict(likely, nearest=nearest, is_strange=is_strange) for likely in alike.tolist()]
        worth = [replace(one, probability=None) for one in worth] if is_weighed else worth
        is_empty = bool(is_strange) and all(map(shows_nothing, images))
        neighbours = neighbours_of(self.gallery, shown, distances, worth)
        return recommendation_of(neighbours, images, timings_ms, is_empty=is_empty)

    @cached_property
    def _judge(self) -> Judge:
        """Made with the first answer: what is near in this gallery has to be looked for."""
        first = self._index.first if isinstance(self._index, PicturesIndex) else self._index
        return Judge(self.calibration, Spread.of(first, self.gallery.splits))
