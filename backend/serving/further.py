"""What a question to the endpoint may hold besides one picture, as a client sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend.serving.wire.routes import ANY_BYTES, LIKE, UNLIKE

if TYPE_CHECKING:
    from backend.retrieval.wishes import Wishes

_FORM_FILE = tuple[str, tuple[str, bytes, str]]


@dataclass(frozen=True, slots=True)
class Further:
    """More pictures of one question: to be like, and to stay away from; in any format that is read."""

    like: tuple[bytes, ...] = ()
    unlike: tuple[bytes, ...] = ()

    def as_form(self, first: bytes) -> list[_FORM_FILE]:
        """Return all pictures as the files of a form, the first one in front."""
        named = [(LIKE, data) for data in (first, *self.like)] + [(UNLIKE, data) for data in self.unlike]
        return [(name, (f"{name}-{at}", data, ANY_BYTES)) for at, (name, data) in enumerate(named)]


def wishes_as_query(wishes: Wishes | None) -> dict[str, Any]:
    """Return wishes as query parameters, without those that stand as they are anyway."""
    if wishes is None:
        return {}
    query: dict[str, Any] = {"weight": wishes.weights, "like": wishes.like, "unlike": wishes.unlike}
    if wishes.diversity:
        query["diversity"] = wishes.diversity
    if wishes.collapse != "none":
        query["collapse"] = wishes.collapse
    return query
