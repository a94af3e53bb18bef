"""Logged questions answered again from what they name: bundle, rules, time; every answer must be the one that was given."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from backend.errors import CatalogueNotFound
from backend.merchandising.compiling import compiled
from backend.retrieval.asked_again import answer_again

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backend.merchandising.questions.question import Question
    from backend.merchandising.rule_store import RuleStore
    from backend.progress import Progress
    from backend.retrieval.recommend import Recommender
    from backend.retrieval.rules.compiled import CompiledRules

OTHER_GALLERY, DRAFT_RULES, RULES_GONE = (
    "answered from another index than the version has",
    "answered by a draft of rules",
    "answered by a version of the rules that is no longer there",
)
_SHOWN, _EVERY = 20, 50


@dataclass(slots=True)
class Verified:
    """What came of it.

    Attributes:
        asked: Questions that were answered again.
        equal: Those whose products were the same, in the same order.
        identical: Those whose similarities were the same, too, bit for bit.
        left_out: How many were not asked, by the reason.
        different: Some of those that were not equal: question, time, product ids before and now.
    """

    asked: int = 0
    equal: int = 0
    identical: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    different: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self) | {"left_out": dict(self.left_out)}

    def add(self, other: Verified) -> None:
        """Add what came of other questions."""
        self.asked, self.equal, self.identical = (
            self.asked + other.asked,
            self.equal + other.equal,
            self.identical + other.identical,
        )
        self.left_out += other.left_out
        self.different = [*self.different, *other.different][:_SHOWN]


def verify(rows: Sequence[Question], recommender: Recommender, store: RuleStore, progress: Progress) -> Verified:
    """Answer questions of one version of a model again.

    Args:
        rows: The questions.
        recommender: That version.
        store: The rules of its catalogue.
        progress: Told how far it is.

    Raises:
        Cancelled: The user asked to stop.
    """
    found, rules = Verified(), _Rules(recommender, store)
    for number, row in enumerate(rows):
        if number % _EVERY == 0:
            progress.report(number, len(rows), unit="questions", note="Answering again")
            progress.check_cancelled()
        _check(row, recommender, rules, found)
    progress.report(len(rows), len(rows) or 1, unit="questions", note="Answering again")
    return found


def _check(row: Question, recommender: Recommender, rules: _Rules, found: Verified) -> None:
    index = recommender.manifest.index
    if index is None or (index.generation, index.catalogue.version) != (row.generation, row.catalogue_version):
        found.left_out[OTHER_GALLERY] += 1
        return
    ready, why_not = rules.of(row)
    if why_not:
        found.left_out[why_not] += 1
        return
    again = answer_again(
        recommender, row.embedded, k=row.k, filters=row.asked_filters, wishes=row.asked_wishes, rules=ready
    )
    ids, alike = tuple(one.product_id for one in again), tuple(one.similarity for one in again)
    found.asked += 1
    found.equal += ids == row.product_ids
    found.identical += (ids, alike) == (row.product_ids, row.similarities)
    if ids != row.product_ids and len(found.different) < _SHOWN:
        said = {"question": row.question, "time": row.time.isoformat()}
        found.different.append({**said, "before": list(row.product_ids), "now": list(ids)})


class _Rules:
    """The rules that questions were answered by; the last ones are kept, as questions come in their order."""

    def __init__(self, recommender: Recommender, store: RuleStore) -> None:
        self._recommender, self._store = recommender, store
        self._key: tuple[int, str | None, datetime | None] | None = None
        self._last: tuple[CompiledRules | None, str] = (None, "")

    def of(self, row: Question) -> tuple[CompiledRules | None, str]:
        """Return the rules of a question, or why they are not to be had."""
        if row.rules_version is None:
            return None, ""
        key = (row.rules_version, row.rules_digest, row.rules_at)
        if key != self._key:
            self._key, self._last = key, self._made(row)
        return self._last

    def _made(self, row: Question) -> tuple[CompiledRules | None, str]:
        if row.is_of_a_draft:
            return None, DRAFT_RULES
        try:
            rules = self._store.read(row.rules_version)
        except CatalogueNotFound:
            return None, RULES_GONE
        if rules.digest != row.rules_digest:
            return None, RULES_GONE
        return compiled(rules, self._store, self._recommender, at=row.rules_at), ""
