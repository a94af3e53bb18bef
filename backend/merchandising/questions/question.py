"""A question that was answered, as the log keeps it: enough to answer it again, and nothing that shows a picture."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from backend.errors import CatalogueError
from backend.retrieval.asked_again import Embedded
from backend.retrieval.filters import check_filters
from backend.retrieval.wishes import DRAFT, Wishes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.retrieval.recommendation import Recommendation
    from backend.retrieval.rules.compiled import CompiledRules


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One row of the log.

    Attributes:
        time: When it was answered.
        question: SHA-256 of the picture; of the digests of all pictures where there were several, empty where there was none.
        pictures: SHA-256 of each picture, those to stay away from last.
        embedding: What the network made of the pictures, one after the other, float32 ((P + U) * D).
        liked, unliked: How many pictures were asked about (P), and were to be stayed away from (U).
        is_strange: See :class:`backend.retrieval.asked_again.Embedded`.
        k: Neighbours wanted.
        filters, wishes: As JSON.
        rules_version, rules_digest, rules_at: Of the rules that it was answered by; None where they were off.
        model, model_version, bundle, generation: What answered: the registered model, its bundle, and the bundle's index.
        network: Hash of the network's weights: embeddings of another one are in another space.
        catalogue_version: What was searched.
        product_ids, similarities: The answer, in its order.
        has_match: Whether any of it is a match; None where that is not known.
        milliseconds: From the first byte to the answer.
        caller: Name of the token.
    """

    time: datetime
    question: str
    pictures: tuple[str, ...]
    embedding: NDArray[np.float32]
    liked: int
    unliked: int
    is_strange: bool | None
    k: int
    filters: str
    wishes: str
    rules_version: int | None
    rules_digest: str | None
    rules_at: datetime | None
    model: str
    model_version: int
    bundle: str
    network: str
    generation: int
    catalogue_version: int
    product_ids: tuple[str, ...]
    similarities: tuple[float, ...]
    has_match: bool | None
    milliseconds: float
    caller: str

    @property
    def embedded(self) -> Embedded:
        """What the network made of its pictures."""
        count = self.liked + self.unliked
        vectors = self.embedding.reshape(count, -1) if count else np.empty((0, 0), dtype=np.float32)
        return Embedded(vectors[: self.liked], vectors[self.liked :], self.is_strange)

    @property
    def asked_filters(self) -> dict[str, Any]:
        """Its filters as they are carried out."""
        return check_filters(json.loads(self.filters))

    @property
    def asked_wishes(self) -> Wishes:
        """Its wishes as they are carried out."""
        return wishes_from(self.wishes)

    @property
    def is_of_a_draft(self) -> bool:
        """Whether it was answered by rules that nobody had published."""
        return self.asked_wishes.rules.startswith(DRAFT)


_TEXTS = ("question", "filters", "wishes", "model", "bundle", "network", "caller")
_NUMBERS = ("liked", "unliked", "k", "model_version", "generation", "catalogue_version")
_TIME = pa.timestamp("us", tz="UTC")
_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(_TEXTS, pa.string()),
    **dict.fromkeys(_NUMBERS, pa.int64()),
    "time": _TIME,
    "milliseconds": pa.float64(),
    "embedding": pa.list_(pa.float32()),
    "pictures": pa.list_(pa.string()),
    "product_ids": pa.list_(pa.string()),
    "similarities": pa.list_(pa.float64()),
    "is_strange": pa.bool_(),
    "has_match": pa.bool_(),
    "rules_version": pa.int64(),
    "rules_digest": pa.string(),
    "rules_at": _TIME,
}
_NULLABLE = frozenset({"is_strange", "has_match", "rules_version", "rules_digest", "rules_at"})
_DELTA = {pa.string(): "string", pa.int64(): "long", pa.float64(): "double", pa.float32(): "float"} | {
    pa.bool_(): "boolean",
    _TIME: "timestamp",
}
COLUMNS = tuple(item.name for item in fields(Question))
SCHEMA = pa.schema([pa.field(name, _TYPES[name], nullable=name in _NULLABLE) for name in COLUMNS])


def _delta_type(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": _DELTA[kind.value_type], "containsNull": True}
    return _DELTA[kind]


DELTA_FIELDS = [{"name": name, "type": _delta_type(_TYPES[name]), "nullable": name in _NULLABLE} for name in COLUMNS]


def question_of(
    answer: Recommendation,
    pictures: Sequence[bytes],
    *,
    k: int,
    filters: dict[str, Any],
    wishes: Wishes,
    rules: CompiledRules | None,
    **about: Any,
) -> Question:
    """Return what is kept of a question that was answered.

    Args:
        answer: Its answer.
        pictures: Encoded pictures, those to stay away from last.
        k: Neighbours wanted.
        filters: Those it had.
        wishes: How the answer was to be.
        rules: Those that it was answered by; None where they were off.
        about: The other fields: what answered, and who asked when.
    """
    embedded = answer.embedded
    if embedded is None:
        raise ValueError("The answer does not say what the network made of the question.")
    digests = tuple(hashlib.sha256(picture).hexdigest() for picture in pictures)
    several = hashlib.sha256("".join(digests).encode()).hexdigest()
    return Question(
        question=several if len(digests) > 1 else "".join(digests),
        pictures=digests,
        embedding=np.concatenate([embedded.liked, embedded.unliked]).reshape(-1),
        liked=len(embedded.liked),
        unliked=len(embedded.unliked),
        is_strange=embedded.is_strange,
        k=k,
        filters=json.dumps(filters, ensure_ascii=False),
        wishes=wishes_as_json(wishes),
        rules_version=rules.version if rules else None,
        rules_digest=rules.digest if rules else None,
        rules_at=rules.at if rules else None,
        product_ids=tuple(one.product_id for one in answer.neighbours),
        similarities=tuple(one.similarity for one in answer.neighbours),
        has_match=answer.has_match,
        **about,
    )


def wishes_as_json(wishes: Wishes) -> str:
    """Return what is wished for, without what is as usual."""
    usual = asdict(Wishes())
    kept = {name: value for name, value in asdict(wishes).items() if value != usual[name]}
    return json.dumps(kept, ensure_ascii=False, default=datetime.isoformat)


def wishes_from(text: str) -> Wishes:
    """Read what :func:`wishes_as_json` gives; raises RetrievalError where a wish cannot be carried out."""
    raw = json.loads(text)
    values: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in raw.items()}
    if values.get("rules_at"):
        values["rules_at"] = datetime.fromisoformat(values["rules_at"])
    return replace(Wishes(), **values)


def as_table(rows: Sequence[Question]) -> pa.Table:
    """Return rows as columns."""
    return pa.table({name: [getattr(row, name) for row in rows] for name in COLUMNS}, schema=SCHEMA)


def from_table(table: pa.Table) -> list[Question]:
    """Return columns as rows.

    Raises:
        CatalogueError: They are not what :func:`as_table` gives.
    """
    try:
        return [_row(raw) for raw in table.to_pylist()]
    except (TypeError, ValueError) as error:
        raise CatalogueError(
            f"The log of questions cannot be read: {error}.", next_step="Move its folder away; a new log is begun."
        ) from error


def _row(raw: dict[str, Any]) -> Question:
    lists = {name: tuple(raw[name]) for name in ("pictures", "product_ids", "similarities")}
    return Question(**{**raw, **lists, "embedding": np.asarray(raw["embedding"], dtype=np.float32)})
