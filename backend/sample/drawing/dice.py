"""Repeatable chance: every draw is a hash of a seed and a name, so neither process, order nor version changes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
_RANGE = 2**64


@dataclass(frozen=True, slots=True)
class Dice:
    """Named draws for one seed; the same name always gives the same answer, and a new name changes no other."""

    seed: str

    def unit(self, name: str) -> float:
        """Return a number in [0, 1)."""
        digest = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / _RANGE

    def between(self, name: str, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self.unit(name)

    def chance(self, name: str, probability: float) -> bool:
        """Return true with this probability."""
        return self.unit(name) < probability

    def pick(self, name: str, options: Sequence[T]) -> T:
        """Return one of the options, each as likely as the others; an option listed twice is twice as likely."""
        return options[int(self.unit(name) * len(options))]
