"""Golden queries: pictures whose answers a merchandiser has approved, and which every new champion must give again.

Each is a file of its own below the home, named after the picture's hash: approving the same picture again replaces it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import RegistryError
from backend.files.locking import lock_beside, locked
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backend.retrieval.recommend import Recommendation, Recommender

FOLDER = "golden"
MAX_K = 100
_FORMAT = 2  # 1 had nothing forbidden
_ID_LENGTH = 16


@dataclass(frozen=True, slots=True)
class GoldenQuery:
    """A picture, and what its answer must hold.

    Attributes:
        name: What people call it.
        catalogue: Whose products are expected; models of other catalogues are not asked.
        image: The picture as it was asked.
        products: Ids that must all be among the first ``k`` answers, as far as the gallery still has them.
        labels: The nearest product must have one of these; empty means any.
        k: How many answers are looked at.
        forbidden: Ids that must not be among them.
        approved_at: ISO time.
        approved_with: The version that gave the answer when it was approved, for people.
    """

    name: str
    catalogue: str
    image: bytes
    products: tuple[str, ...]
    labels: tuple[str, ...]
    k: int
    approved_at: str = ""
    approved_with: str = ""
    forbidden: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The picture's hash, shortened."""
        return _id_of(self.image)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a model answered to a golden query; ``says`` is a sentence, ``unwanted`` what it shows that it must not.

    ``misses`` says whether it lacks anything that it must show.
    """

    id: str
    name: str
    passed: bool
    says: str
    misses: bool = False
    unwanted: tuple[str, ...] = ()


@use_case(
    "golden.approve", Role.MERCHANDISER, about=lambda _home, query: words(catalogue=query.catalogue, golden=query.id)
)
def approve(home: Path, query: GoldenQuery) -> GoldenQuery:
    """Keep a golden query, with the present time where it has none.

    Raises:
        RegistryError: Nothing is expected of its answer, or more than it can hold.
    """
    return _keep(home, query)


def _keep(home: Path, query: GoldenQuery) -> GoldenQuery:
    if not query.products and not query.labels and not query.forbidden:
        raise RegistryError("A golden query needs an expected product or label.", next_step="Choose at least one.")
    if not 1 <= query.k <= MAX_K or len(query.products) > query.k:
        raise RegistryError(
            f"{len(query.products)} products cannot be among the first {query.k} answers.",
            next_step=f"Expect fewer products, or check more answers, up to {MAX_K}.",
        )
    kept = {**asdict(query), "approved_at": query.approved_at or datetime.now(UTC).isoformat(timespec="seconds")}
    found = GoldenQuery(**kept)
    raw = {**kept, "image": base64.b64encode(query.image).decode("ascii"), "format": _FORMAT}
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    raw["image_sha256"] = hashlib.sha256(query.image).hexdigest()
    write_atomically(folder / f"{found.id}.json", json.dumps(raw, indent=1, ensure_ascii=False).encode())
    return found


@use_case(
    "golden.mark",
    Role.MERCHANDISER,
    about=lambda _home, asked, product_id, *, is_similar: words(
        catalogue=asked.catalogue, golden=asked.id, product=product_id, similar=str(is_similar)
    ),
)
def mark(home: Path, asked: GoldenQuery, product_id: str, *, is_similar: bool) -> GoldenQuery | None:
    """Mark a product as one that a picture must find, or must not; where it is marked so already, it is so no more.

    Args:
        home: Where golden queries are kept.
        asked: The picture, for which nothing need be known yet; ``k`` is as many answers as the product is among.
        product_id: The product.
        is_similar: Which of the two marks.

    Returns:
        What is known of the picture now; None where that is nothing.

    Raises:
        RegistryError: The picture belongs to another catalogue, or its file is damaged.
    """
    (home / FOLDER).mkdir(parents=True, exist_ok=True)
    with locked(lock_beside(home / FOLDER / f"{asked.id}.json")):
        known = golden_query_of(home, asked.image) or replace(asked, products=(), labels=(), forbidden=())
        if known.catalogue != asked.catalogue:
            raise RegistryError(
                f"This picture is an approved example of the catalogue {known.catalogue}.",
                next_step="Remove that example on the Deploy page first.",
            )
        here, there = (known.products, known.forbidden) if is_similar else (known.forbidden, known.products)
        here = tuple(one for one in here if one != product_id) if product_id in here else (*here, product_id)
        there = tuple(one for one in there if one != product_id)
        products, forbidden = (here, there) if is_similar else (there, here)
        if not products and not forbidden and not known.labels:
            (home / FOLDER / f"{asked.id}.json").unlink(missing_ok=True)
            return None
        k = min(max(known.k, asked.k, len(products)), MAX_K)
        return _keep(home, replace(known, products=products, forbidden=forbidden, k=k))


def golden_queries(home: Path, catalogue: str | None = None) -> list[GoldenQuery]:
    """Return the golden queries of a catalogue, or all, by name.

    Raises:
        RegistryError: A file is damaged; a gate must not overlook one.
    """
    found = [_read(path) for path in sorted((home / FOLDER).glob("*.json"))]
    return sorted(
        (one for one in found if catalogue in {None, one.catalogue}), key=lambda one: (one.name.lower(), one.id)
    )


def golden_query_of(home: Path, image: bytes) -> GoldenQuery | None:
    """Return the golden query with this very picture; None where it was not approved.

    Raises:
        RegistryError: Its file is damaged.
    """
    path = home / FOLDER / f"{_id_of(image)}.json"
    return _read(path) if path.is_file() else None


@use_case("golden.remove", Role.MERCHANDISER, about=lambda _home, query_id: words(golden=query_id))
def remove(home: Path, query_id: str) -> None:
    """Expect nothing of this picture any more.

    Raises:
        RegistryError: There is no such golden query.
    """
    known = {path.stem: path for path in (home / FOLDER).glob("*.json")}
    if query_id not in known:
        raise RegistryError(f"There is no golden query {query_id!r}.", next_step="See `python -m backend golden list`.")
    known[query_id].unlink()


def replay(recommender: Recommender, queries: Sequence[GoldenQuery]) -> list[Replayed]:
    """Ask a model all golden queries.

    Raises:
        ImageRejected: A picture is not usable any more, say because the limits became smaller.
    """
    if not queries:
        return []
    answers = recommender.recommend([query.image for query in queries], k=max(query.k for query in queries))
    held = set(recommender.gallery.ids)
    return [_judged(query, answer, held) for query, answer in zip(queries, answers, strict=True)]


def _id_of(image: bytes) -> str:
    return hashlib.sha256(image).hexdigest()[:_ID_LENGTH]


def _judged(query: GoldenQuery, answer: Recommendation, held: set[str]) -> Replayed:
    shown = answer.neighbours[: query.k]
    there = [product for product in query.products if product in held]
    missing = [product for product in there if product not in {one.product_id for one in shown}]
    label = shown[0].label if shown else ""
    unwanted = tuple(one.product_id for one in shown if one.product_id in query.forbidden)
    said = []
    if unwanted:
        said.append(f"{', '.join(unwanted)} among the first {query.k}, but marked as not similar")
    if missing:
        said.append(f"{', '.join(missing)} not among the first {query.k}")
    is_other = bool(query.labels) and label not in query.labels
    if is_other:
        said.append(f"the nearest product is {label or 'nothing'} instead of {' or '.join(query.labels)}")
    gone = len(query.products) - len(there)
    note = f" {gone} of its products are no longer in the gallery." if gone else ""
    says = f"{query.name}: {' and '.join(said)}." if said else f"{query.name}: as approved."
    return Replayed(query.id, query.name, not said, says + note, bool(missing) or is_other, unwanted)


def _read(path: Path) -> GoldenQuery:
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        image = base64.b64decode(raw["image"], validate=True)
        query = GoldenQuery(
            image=image,
            products=tuple(raw["products"]),
            labels=tuple(raw["labels"]),
            forbidden=tuple(raw.get("forbidden", ())),
            **{name: raw[name] for name in ("name", "catalogue", "k", "approved_at", "approved_with")},
        )
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error
    if raw.get("format", _FORMAT) > _FORMAT:
        raise RegistryError(
            f"The golden query {path.name} was written by a newer version of Twinset.", next_step="Update Twinset."
        )
    if hashlib.sha256(image).hexdigest() != raw.get("image_sha256"):
        raise _damaged(path)
    return query


def _damaged(path: Path) -> RegistryError:
    return RegistryError(
        f"The golden query {path.name} is damaged.",
        next_step=f"Approve that answer again, or remove it: `python -m backend golden remove {path.stem}`.",
    )
