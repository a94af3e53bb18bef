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
from backend.retrieval.asked_again import Embedded, Ground, Located, nearest, plain_question, together
from backend.retrieval.calibration import Calibration
from backend.retrieval.closeness import Judge, Spread
from backend.retrieval.fit import check_fit
from backend.retrieval.gallery.gallery import Gallery
from backend.retrieval.gallery.gallery_file import check_sizes
from backend.retrieval.indexes.further import PicturesIndex, with_further
from backend.retrieval.indexes.kinds import open_index
from backend.retrieval.indexes.weighed import weighed
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
        self.manifest, self.gallery, self.embedder, self.index = manifest, gallery, embedder, index
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
        ground = self.ground(colour_weight, rules)
        queries, are_strange = embed_queries(self.embedder, decoded)
        embedded = time.perf_counter()
        alone = [
            Embedded.alone(queries[row : row + 1], is_strange=is_strange) for row, is_strange in enumerate(are_strange)
        ]
        located = nearest([plain_question(one, k, allowed, ground.index) for one in alone], ground)
        shared = {"embed": (embedded - start) * 1e3, "search": (time.perf_counter() - embedded) * 1e3}
        return [
            self._answer([image], one, {"decode": ms, **shared}, by)
            for image, ms, one, by in zip(decoded, decode_ms, located, alone, strict=True)
        ]

    def ground(self, colour_weight: float | None, rules: CompiledRules | None) -> Ground:
        """Return what answers are made from where colour counts so much.

        Raises:
            RetrievalError: The model does not hold colours apart.
        """
        index = weighed(self.index, self.manifest, colour_weight)

        def by_rules() -> RuledAnswers:
            judge = self._judge if index is self.index else None  # closeness was measured for the model as it is
            return RuledAnswers(index, self.gallery, self.manifest.pixels, judge)

        return Ground(self.gallery, self.index, index, by_rules, rules)

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
        ground, allowed = self.ground(wishes.colour_weight, rules), self.gallery.allowed(filters)
        decoded, decode_ms = self._pictures.decode([*images, *unlike], region)
        started = time.perf_counter()
        embedded, are_strange = embed_queries(self.embedder, decoded)
        between = time.perf_counter()
        of_question = Embedded(
            embedded[: len(images)],
            embedded[len(images) :],
            None if wishes.like else all_strange(are_strange[: len(images)]),
        )
        located = together(of_question, ground, k=k, wishes=wishes, allowed=allowed)
        embed_ms, search_ms = (between - started) * 1e3, (time.perf_counter() - between) * 1e3
        timings = {"decode": sum(decode_ms), "embed": embed_ms, "search": search_ms}
        pictures = decoded[: len(images)] or self._pictured(self.gallery.positions(wishes.like))
        return self._answer(pictures, located, timings, of_question)

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
        self, images: Sequence[DecodedImage], located: Located, timings_ms: dict[str, float], embedded: Embedded
    ) -> Recommendation:
        is_empty = bool(embedded.is_strange) and all(map(shows_nothing, images))
        neighbours = self.neighbours(located, is_strange=embedded.is_strange)
        answer = recommendation_of(neighbours, images, timings_ms, embedded, is_empty=is_empty)
        return replace(answer, touching=located.touching)

    def neighbours(self, located: Located, *, is_strange: bool | None) -> tuple[Neighbour, ...]:
        """Say of located products what they are and what they are worth."""
        alike = 1.0 - located.distances.astype(np.float64) if located.alike is None else located.alike
        nearest_one = float(alike.max(initial=-1.0))
        worth = [self._judge.verdict(likely, nearest=nearest_one, is_strange=is_strange) for likely in alike.tolist()]
        worth = [replace(one, probability=None) for one in worth] if located.is_weighed else worth
        return neighbours_of(self.gallery, located.shown, located.distances, worth)

    @cached_property
    def _judge(self) -> Judge:
        """Made with the first answer: what is near in this gallery has to be looked for."""
        first = self.index.first if isinstance(self.index, PicturesIndex) else self.index
        return Judge(self.calibration, Spread.of(first, self.gallery.splits))
