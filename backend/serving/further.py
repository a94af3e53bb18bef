"""What a question to the endpoint may hold besides one picture, as a client sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backend.retrieval.wishes import SEVERAL_WISHES, SINGLE_WISHES, Wishes
from backend.serving.wire.routes import ANY_BYTES, LIKE, UNLIKE

_FORM_FILE = tuple[str, tuple[str, bytes, str]]
_SIDE = 2_000  # pixels of a reduced picture: eight times what networks see, and at most 2 MB
_USUAL = Wishes()
_NAMED = tuple(name for name in (*SEVERAL_WISHES, *SINGLE_WISHES) if name not in {"weight", "rules_at"})
_FRAME = 1_000  # bytes around a picture in a form, at most


@dataclass(frozen=True, slots=True)
class Further:
    """More pictures of one question: to be like, and to stay away from; in any format that is read."""

    like: tuple[bytes, ...] = ()
    unlike: tuple[bytes, ...] = ()

    def as_form(self, first: bytes) -> list[_FORM_FILE]:
        """Return all pictures as the files of a form, the first one in front."""
        named = [(LIKE, data) for data in (first, *self.like)] + [(UNLIKE, data) for data in self.unlike]
        return [(name, (f"{name}-{at}", data, ANY_BYTES)) for at, (name, data) in enumerate(named)]


def sendable(image: bytes, further: Further | None, *, most_bytes: int) -> tuple[bytes, Further | None]:
    """Return the pictures of one question as they fit one body: large ones reduced, where all together do not.

    Args:
        image: The first picture.
        further: The others, if any.
        most_bytes: Of the body; 0 where that is not known, and nothing is reduced.

    Raises:
        ImageRejected: A large one cannot be read.
    """
    others = further or Further()
    pictures = (image, *others.like, *others.unlike)
    room = most_bytes - _FRAME * len(pictures)
    if not most_bytes or sum(map(len, pictures)) <= room:
        return image, further
    from backend.imaging.pixels import thumbnail  # nearly no question needs it

    share = room // len(pictures)
    first, *rest = (data if len(data) <= share else thumbnail(data, side=_SIDE, keeps_png=False) for data in pictures)
    likes = len(others.like)
    return first, Further(tuple(rest[:likes]), tuple(rest[likes:])) if further else None


def wishes_as_query(wishes: Wishes | None) -> dict[str, Any]:
    """Return wishes as query parameters, without those that stand as they are anyway."""
    if wishes is None:
        return {}
    named = {"weight": wishes.weights, **{name: getattr(wishes, name) for name in _NAMED}}
    if wishes.rules_at is not None:
        named["rules_at"] = wishes.rules_at.isoformat()
    return {name: value for name, value in named.items() if value != getattr(_USUAL, name, None) and value != ()}
