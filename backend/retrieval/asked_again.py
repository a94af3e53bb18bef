"""A question as the network sees it, and its answer from there on: with its pictures at hand, or long after they are gone.

What is kept of a question is enough to answer it again: from the same bundle, by the same rules, to the same products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import RetrievalError
from backend.retrieval.arrange import Asked, Shown, Sought, by_price, without
from backend.retrieval.indexes.further import likeness, shown_picture
from backend.retrieval.indexes.weighed import weigh
from backend.retrieval.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from backend.retrieval.filters import Filters
    from backend.retrieval.gallery.gallery import Gallery
    from backend.retrieval.indexes.index import Index
    from backend.retrieval.recommend import Recommender
    from backend.retrieval.recommendation import Neighbour
    from backend.retrieval.rules.answering import RuledAnswers
    from backend.retrieval.rules.compiled import CompiledRules

AS_FOUND = Wishes(collapse="none")


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """The pictures of a question as the network sees them.

    Attributes:
        liked: Embeddings of those that were asked about, unit vectors (P, D); none where only products were named.
        unliked: Embeddings of those to stay away from, (U, D).
        is_strange: Whether they show nothing that the network knows; None where that is not known.
    """

    liked: NDArray[np.float32]
    unliked: NDArray[np.float32]
    is_strange: bool | None = None

    @classmethod
    def alone(cls, embeddings: NDArray[np.float32], *, is_strange: bool | None) -> Embedded:
        """Return a question of one picture, of its embedding (1, D)."""
        return cls(embeddings, embeddings[:0], is_strange)


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """Products of an answer in their order.

    Attributes:
        shown: The products.
        distances: Of each, as it was asked for, (S,).
        alike: How similar each is as the model has it, (S,); None where that is 1 - distance.
        is_weighed: Whether colour counted otherwise than the model has it.
        touching: Ids of the rules that are for this answer and not for all.
    """

    shown: Sequence[Shown]
    distances: NDArray[np.float32]
    alike: NDArray[np.float32] | None
    is_weighed: bool
    touching: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What an answer is made from.

    Attributes:
        gallery: The products.
        own: Their index, as the model has it.
        index: The same, as it is asked with the weight of colour that is wished for.
        by_rules: Gives what applies rules over that.
        rules: Those in force.
    """

    gallery: Gallery
    own: Index
    index: Index
    by_rules: Callable[[], RuledAnswers]
    rules: CompiledRules | None


def nearest(asked: Sequence[Asked], ground: Ground) -> list[Located]:
    """Locate the answers to questions of a single picture each: by rules where they touch one, else the nearest products."""
    if not asked:
        return []
    own, index, by_rules = ground.own, ground.index, ground.by_rules()
    ruled = [by_rules.answered(one, ground.rules) for one in asked]
    plain = [one.towards for one, by in zip(asked, ruled, strict=True) if by.shown is None]
    found = index.search(np.stack(plain), k=asked[0].k, allowed=asked[0].allowed) if plain else None
    near = iter(zip(found.positions, found.distances, strict=True) if found else ())
    answers = []
    for one, (by, touching) in zip(asked, ruled, strict=True):
        if by is None:
            places, distances = next(near)
        else:
            places = np.asarray([other.position for other in by], dtype=np.int64)
            distances = (1.0 - likeness(index, places, one.towards[None])[:, 0]).clip(0.0, 2.0)
        shown = [Shown(place) for place in places.tolist()] if by is None else by
        alike = None if index is own else likeness(own, places, one.vectors)[:, 0]
        answers.append(Located(_pictured(shown, own, one.vectors), distances, alike, index is not own, touching))
    return answers


def together(
    embedded: Embedded, ground: Ground, *, k: int, wishes: Wishes, allowed: NDArray[np.bool_] | None
) -> Located:
    """Locate the answer to pictures and named products that make one question together.

    Raises:
        RetrievalError: A product is not in the gallery, or the weights do not fit.
    """
    gallery, own = ground.gallery, ground.own
    liked, unliked = gallery.positions(wishes.like), gallery.positions(wishes.unlike)
    weights = (*wishes.weights, *(1.0 for _ in liked)) if wishes.weights else ()
    size = own.dimensions  # of what the log kept of no picture, nothing tells it
    pictured = np.concatenate([embedded.liked.reshape(-1, size), own.embeddings(liked)])
    avoided = np.concatenate([embedded.unliked.reshape(-1, size), own.embeddings(unliked)])
    sought = Sought.of(pictured, avoided, weights, ground.index)
    named = unliked if len(embedded.liked) else np.concatenate([unliked, liked])
    allowed = without(allowed, named, gallery.size)
    strange = None if wishes.like else embedded.is_strange
    asked = Asked(sought.towards, sought.parts, k, wishes, tuple(liked.tolist()), allowed, strange)
    by_rules = ground.by_rules()
    ruled, touching = by_rules.answered(asked, ground.rules)
    shown = by_price(by_rules.unruled(asked) if ruled is None else ruled, gallery, wishes.sort)
    distances, alike = sought.measured(shown, ground.index, own)
    return Located(_pictured(shown, own, sought.parts), distances, alike, ground.index is not own, touching)


def answer_again(
    recommender: Recommender,
    embedded: Embedded,
    *,
    k: int,
    filters: Filters | None = None,
    wishes: Wishes = AS_FOUND,
    rules: CompiledRules | None = None,
) -> tuple[Neighbour, ...]:
    """Answer a question by what the network made of its pictures; as :meth:`Recommender.find` answers it with them.

    Raises:
        RetrievalError: k, a filter or a wish cannot be used, a product is not in the gallery, or nothing is asked about.
    """
    gallery = recommender.gallery
    wishes, allowed = wishes.settled(has_groups=gallery.has_groups), gallery.allowed(filters)
    if not len(embedded.liked) and not wishes.like:
        raise RetrievalError("There is no picture to compare.", next_step="Send at least one.")
    ground = recommender.ground(wishes.colour_weight, rules)
    if wishes.is_plain and len(embedded.liked) == 1 and not len(embedded.unliked):
        located = nearest([plain_question(embedded, k, allowed, ground.index)], ground)[0]
    else:
        located = together(embedded, ground, k=k, wishes=wishes, allowed=allowed)
    return recommender.neighbours(located, is_strange=None if wishes.like else embedded.is_strange)


def plain_question(embedded: Embedded, k: int, allowed: NDArray[np.bool_] | None, index: Index) -> Asked:
    """Return the question that a single picture is."""
    towards = weigh(embedded.liked, index)[0]
    return Asked(towards, embedded.liked, k, AS_FOUND, (), allowed, embedded.is_strange)


def _pictured(shown: Sequence[Shown], own: Index, vectors: NDArray[np.float32]) -> list[Shown]:
    """Say of each product which of its pictures is the nearest."""
    return [one._replace(picture=shown_picture(own, one.position, vectors)) for one in shown]
