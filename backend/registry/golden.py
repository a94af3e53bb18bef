"""Golden queries: pictures whose answers a merchandiser has approved, and which every new champion must give again.

Each is a file of its own below the home, named after the picture's hash: approving the same picture again replaces it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.errors import RegistryError
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backend.retrieval.recommend import Recommendation, Recommender

FOLDER = "golden"
MAX_K = 100
_FORMAT = 1
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

    @property
    def id(self) -> str:
        """The picture's hash, shortened."""
        return _id_of(self.image)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a model answered to a golden query; ``says`` is a sentence."""

    id: str
    name: str
    passed: bool
    says: str


def approve(home: Path, query: GoldenQuery) -> GoldenQuery:
    """Keep a golden query, with the present time where it has none.

    Raises:
        RegistryError: Nothing is expected of its answer, or more than it can hold.
    """
    if not query.products and not query.labels:
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
    said = []
    if missing:
        said.append(f"{', '.join(missing)} not among the first {query.k}")
    if query.labels and label not in query.labels:
        said.append(f"the nearest product is {label or 'nothing'} instead of {' or '.join(query.labels)}")
    gone = len(query.products) - len(there)
    note = f" {gone} of its products are no longer in the gallery." if gone else ""
    says = f"{query.name}: {' and '.join(said)}." if said else f"{query.name}: as approved."
    return Replayed(query.id, query.name, not said, says + note)


def _read(path: Path) -> GoldenQuery:
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        image = base64.b64decode(raw["image"], validate=True)
        query = GoldenQuery(
            image=image,
            products=tuple(raw["products"]),
            labels=tuple(raw["labels"]),
            **{name: raw[name] for name in ("name", "catalogue", "k", "approved_at", "approved_with")},
        )
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error
    if hashlib.sha256(image).hexdigest() != raw.get("image_sha256"):
        raise _damaged(path)
    return query


def _damaged(path: Path) -> RegistryError:
    return RegistryError(
        f"The golden query {path.name} is damaged.",
        next_step=f"Approve that answer again, or remove it: `python -m backend golden remove {path.stem}`.",
    )
