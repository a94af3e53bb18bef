"""One collection: products in an order, each with a comment where somebody wrote one, and who approved it."""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.errors import CatalogueError
from backend.files.typed_json import built

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_NAME, MAX_TEXT = 120, 1_000  # characters of a name or a person; of a comment, a note or a product id
MAX_PRODUCTS = 5_000
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_NO_ID = re.compile(r"[^a-z0-9]+")
# What no file and no page shows: control characters but the end of a line, halves of characters, and what Unicode says is none.
_INVISIBLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Collection:
    """Products that somebody put together.

    Attributes:
        id: Its name for machines; stays when it is renamed.
        name: What people call it.
        products: Ids in their order, each once; those that the catalogue does not have (any more) stay.
        comments: Of products that have one, as pairs sorted by id.
        note: On the whole of it.
        owner: Who made it.
        approved_by, approved_at: Who approved it as it is, and when, ISO time in UTC; empty for a draft.
    """

    id: str
    name: str
    products: tuple[str, ...] = ()
    comments: tuple[tuple[str, str], ...] = ()
    note: str = ""
    owner: str = ""
    approved_by: str = ""
    approved_at: str = ""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise _unusable(
                f"{self.id[:40]!r} is not the id of a collection.", "Use small letters, digits and hyphens."
            )
        if not self.name.strip() or "\n" in self.name or not _is_text(self.name, MAX_NAME):
            raise _unusable(
                "A collection needs a name.", f"Use up to {MAX_NAME} characters, without tabs or line breaks."
            )
        if len(self.products) > MAX_PRODUCTS:
            raise _unusable(
                f"{self.name} would have {len(self.products):,} products.", f"Keep at most {MAX_PRODUCTS:,} in one."
            )
        if len(set(self.products)) < len(self.products) or not all(map(_is_id, self.products)):
            raise _unusable(f"{self.name} has a product twice, or an invalid product id.", "Name each product once.")
        if [name for name, _ in self.comments] != sorted({name for name, _ in self.comments} & set(self.products)):
            raise _unusable(f"{self.name} has a comment on a product that is not in it.", "Remove this comment.")
        people = (self.owner, self.approved_by, self.approved_at)
        if not all(_is_text(text, MAX_TEXT) for _, text in self.comments) or not _is_text(self.note, MAX_TEXT):
            raise _unusable("A comment or note cannot be kept.", f"Use up to {MAX_TEXT:,} visible characters.")
        if not all(_is_text(text, MAX_NAME) for text in people):
            raise _unusable("A name of a person cannot be kept.", f"Use up to {MAX_NAME} visible characters.")

    @property
    def is_approved(self) -> bool:
        """Whether somebody approved it as it is."""
        return bool(self.approved_by)

    @property
    def comment_of(self) -> dict[str, str]:
        """The comments by product."""
        return dict(self.comments)

    @property
    def as_draft(self) -> Collection:
        """The same, approved by nobody."""
        return replace(self, approved_by="", approved_at="")

    def approved(self, by: str) -> Collection:
        """Return it as somebody approves it now."""
        return replace(self, approved_by=by, approved_at=datetime.now(UTC).isoformat(timespec="seconds"))

    def edited(self, **changes: Any) -> Collection:
        """Return it with other values; what is different is a draft again."""
        changed = replace(self, **changes)
        return self if changed == self else changed.as_draft

    def added(self, ids: Iterable[str]) -> Collection:
        """Return it with more products at the end; those that it has stay where they are."""
        return self.edited(products=tuple(dict.fromkeys((*self.products, *ids))))

    def without(self, product_id: str) -> Collection:
        """Return it without a product and its comment."""
        rest = tuple(name for name in self.products if name != product_id)
        return self.edited(products=rest, comments=tuple(pair for pair in self.comments if pair[0] != product_id))

    def moved(self, product_id: str, place: int) -> Collection:
        """Return it with a product at a place from 1; at the first or last one where there are not so many."""
        rest = [name for name in self.products if name != product_id]
        if len(rest) == len(self.products):
            return self
        rest.insert(min(max(place, 1) - 1, len(rest)), product_id)
        return self.edited(products=tuple(rest))

    def commented(self, product_id: str, text: str) -> Collection:
        """Return it with another comment on a product; none where the text is empty."""
        comments = {**self.comment_of, product_id: text.strip()}
        return self.edited(comments=in_order(comments, self.products))


def in_order(comments: Mapping[str, str], products: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the comments that say something about some products, as pairs sorted by id."""
    return tuple((name, comments[name]) for name in sorted(products) if comments.get(name))


def begun(name: str, owner: str, products: Iterable[str] = (), comments: Mapping[str, str] | None = None) -> Collection:
    """Return a new collection; its id says what it was called, and is another one each time.

    Raises:
        CatalogueError: The name is none, or a product id cannot be used.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = _NO_ID.sub("-", plain).strip("-")[:48].strip("-")
    ids = tuple(dict.fromkeys(products))
    made_id = f"{stem}-{secrets.token_hex(3)}" if stem else secrets.token_hex(6)
    return Collection(made_id, " ".join(name.split()), ids, in_order(comments or {}, ids), owner=owner)


def as_plain(one: Collection) -> dict[str, Any]:
    """Return a collection as values of JSON, without what is empty."""
    plain = {name: getattr(one, name) for name in ("id", "name", "note", "owner", "approved_by", "approved_at")}
    plain |= {"products": list(one.products), "comments": one.comment_of}
    return {name: value for name, value in plain.items() if value}


def from_plain(raw: Any) -> Collection:
    """Read what :func:`as_plain` gives; raises CatalogueError where it is something else."""
    try:
        read: dict[str, Any] = dict(raw)
        comments = built(dict[str, str], read.pop("comments", {}), "comments")
        products = built(tuple[str, ...], read.pop("products", []), "products")
        texts = {name: built(str, text, name) for name, text in read.items()}
        return Collection(**texts, products=products, comments=tuple(sorted(comments.items())))
    except (TypeError, ValueError) as error:
        raise _unusable(f"A collection cannot be read: {error}.", "Go back to an older version.") from error


def _is_text(text: str, most: int) -> bool:
    return len(text) <= most and not _INVISIBLE.search(text)


def _is_id(name: str) -> bool:
    return bool(name) and "\n" not in name and _is_text(name, MAX_TEXT)


def _unusable(message: str, next_step: str) -> CatalogueError:
    return CatalogueError(message, next_step=next_step)
