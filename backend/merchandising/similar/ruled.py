"""Rules in the table: which answers they can change, and what else of an answer depends on them.

Most rules are for few answers. Which those are is found for all rules at once, and only these answers are made by rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import RetrievalError
from backend.retrieval.arrange import Asked
from backend.retrieval.rules.compiled import CompiledRules, Conditions
from backend.retrieval.rules.rule import NAMED_BY, PINS, SHIFTS
from backend.retrieval.rules.rule_set import RuleSet, as_plain
from backend.retrieval.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from backend.merchandising.similar.near import Near
    from backend.merchandising.similar.source import Source
    from backend.retrieval.gallery.gallery import Gallery
    from backend.retrieval.rules.rule import Rule

BRINGING = (*PINS, "fall-back")  # what shows a product wherever it stands


@dataclass(frozen=True, slots=True)
class RulesAt:
    """Rules as they are in force at a time; they travel to the executors as they are.

    Attributes:
        rules: The set.
        at: The time.
        pictures: Embeddings of the pictures that rules are for, by SHA-256; without those that cannot be had.
    """

    rules: RuleSet = field(default_factory=RuleSet)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    pictures: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def live(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self.rules.live(self.at)

    def compiled(self, gallery: Gallery) -> CompiledRules:
        """Look them up in a gallery."""
        return CompiledRules(self.rules, gallery, self._embedding, now=self.at)

    def _embedding(self, sha256: str) -> NDArray[np.float32]:
        if sha256 not in self.pictures:
            raise RetrievalError(f"The picture {sha256[:12]} of a rule cannot be read.")
        return self.pictures[sha256]

    def plain(self) -> list[dict[str, Any]]:
        """Return the rules in force as JSON values."""
        return [as_plain(rule) for rule in self.live]


def reserve(k: int) -> int:
    """Return how many candidates an answer with rules looks at."""
    return Asked(np.empty(0, np.float32), np.empty((0, 0), np.float32), k, Wishes()).reserve


class Named:
    """Which products some rules name, by their ids or by conditions.

    Args:
        rules: The rules.
        gallery: The N products.

    Attributes:
        conditions: The different conditions, in their order.
    """

    def __init__(self, rules: Iterable[Rule], gallery: Gallery) -> None:
        self._rules, self._gallery = tuple(rules), gallery
        self._fulfilled = Conditions((rule.where for rule in self._rules if rule.where), gallery)
        self.conditions = list(self._fulfilled.numbers)

    def by(self, rules: Iterable[Rule]) -> NDArray[np.bool_]:
        """Return which products some of the rules name, bool (N,)."""
        found = np.zeros(self._gallery.size, dtype=np.bool_)
        listed: list[str] = []
        for rule in rules:
            listed += rule.products
            if rule.where:
                found |= self._fulfilled.mask(self._fulfilled.numbers[rule.where])
        found[there(self._gallery, listed)] = True
        return found

    @property
    def traits(self) -> NDArray[np.uint8]:
        """Which products fulfil which condition, one bit for each, in whole bytes; uint8 (N, B), B at least 1."""
        masks = [self._fulfilled.mask(number) for number in range(len(self.conditions))]
        bits = np.stack(masks or [np.zeros(self._gallery.size, dtype=np.bool_)], axis=1)
        return np.packbits(bits, axis=1, bitorder="little")

    @cached_property
    def all(self) -> NDArray[np.bool_]:
        """Which products any rule names."""
        return self.by(self._rules)


def there(gallery: Gallery, ids: Iterable[str]) -> NDArray[np.int64]:
    """Return the positions of those of some products that are in the gallery."""
    places = gallery.places(list(dict.fromkeys(ids)))
    return places[places >= 0]


class Scopes:
    """In which answers some rules may change anything: never fewer than it is.

    Args:
        rules: The rules.
        source: The products.
        named: Which products they name.
        pictures: Embeddings of the pictures that rules are for.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        source: Source,
        named: Named,
        pictures: Mapping[str, NDArray[np.float32]],
    ) -> None:
        self._source = source
        gallery, rules = source.gallery, tuple(rules)
        self._is_everywhere = any(rule.scope.kind == "all" and rule.action in BRINGING for rule in rules)
        self._seeds = np.zeros(gallery.size, dtype=np.bool_)
        self._seeds[there(gallery, _values(rules, "product"))] = True
        self._held = named.by(rule for rule in rules if rule.scope.kind == "all" and rule.action not in BRINGING)
        self._held[there(gallery, _values(rules, "nearest"))] = True
        for name in NAMED_BY:
            if wanted := set(_values(rules, name)):
                known, codes = gallery.codes(name)
                numbers = [at for at, text in enumerate(known) if text in wanted]
                has_it = np.isin(codes, numbers)
                self._seeds |= has_it
                self._held |= has_it  # the nearest product may be what the answer is about
        near = [rule.scope for rule in rules if rule.scope.kind == "picture" and rule.scope.values[0] in pictures]
        self._pictures = [(pictures[scope.values[0]], scope.radius) for scope in near]

    def lines(self, own: NDArray[np.int64], near: Near, looked: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Tell which answers may be changed, bool (P,).

        Args:
            own: The products asked about, (P,).
            near: Their lists.
            looked: How far an answer by rules looks, (P,).
        """
        if self._is_everywhere:
            return np.ones(len(own), dtype=np.bool_)
        found: NDArray[np.bool_] = self._seeds[own]
        if self._held.any():
            found = found | near.holds(self._held, within=near.horizon) | passes(near, looked)
        for vector, radius in self._pictures:
            found = found | (self._source.index.embeddings(own) @ vector >= 1.0 - radius - 1e-5)
        return found


def passes(near: Near, looked: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which searches pass the end of the list, bool (P,): what is beyond it is not known."""
    found: NDArray[np.bool_] = (looked >= near.horizon) & np.isfinite(near.horizon) & (near.horizon >= 0)
    return found


def _values(rules: Iterable[Rule], kind: str) -> list[str]:
    return [value for rule in rules if rule.scope.kind == kind for value in rule.scope.values]


def has_shifts(rules: Iterable[Rule]) -> bool:
    """Whether any rule moves products by how alike they are."""
    return any(rule.action in SHIFTS for rule in rules)
