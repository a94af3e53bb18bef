"""Which rows make up each batch of an epoch: P classes with K examples each, drawn like cards from shuffled decks.

A deck is dealt to its end before any card comes again, so that classes, and the rows of a class, are used evenly.
The plan of an epoch depends on the seed and the epoch's number alone, not on what was drawn before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


class Deck:
    """The numbers 0..size-1 in shuffled order, dealt again and again; a hand holds a number twice only if it must."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size, self._rng = size, rng
        self._left: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def deal(self, count: int) -> NDArray[np.int64]:
        """Deal ``count`` numbers, all different as long as ``count`` does not exceed the deck."""
        whole, rest = divmod(count, self._size)
        hands = [self._rng.permutation(self._size) for _ in range(whole)]
        return np.concatenate([*hands, self._deal_different(rest)])

    def _deal_different(self, count: int) -> NDArray[np.int64]:
        hand, self._left = self._left[:count], self._left[count:]
        missing = count - len(hand)
        if missing:
            fresh = self._rng.permutation(self._size)
            unseen = fresh[~np.isin(fresh, hand)][:missing]
            self._left = fresh[~np.isin(fresh, unseen)]
            hand = np.concatenate([hand, unseen])
        return hand


def balanced_batches(
    labels: NDArray[np.int32], *, classes: int, examples: int, steps: int, seed: int, epoch: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each batch of one epoch, int64 (classes x examples,), grouped by class.

    Args:
        labels: Class number of every row, (N,); rows with a negative one are never drawn.
        classes: P, different classes in a batch.
        examples: K, rows of each of them; different ones where the class has that many.
        steps: Batches in the epoch.
        seed: Seed of the training.
        epoch: Number of the epoch, from 0.

    Raises:
        ConfigurationError: There are fewer than P classes.
    """
    rng = np.random.default_rng((seed, epoch))
    members = [np.flatnonzero(labels == label) for label in np.unique(labels[labels >= 0])]
    if len(members) < classes:
        raise ConfigurationError(
            f"A batch needs {classes} classes, but there are only {len(members)}.", next_step="Lower classes_per_batch."
        )
    class_deck = Deck(len(members), rng)
    row_decks = [Deck(len(rows), rng) for rows in members]
    for _ in range(steps):
        drawn = class_deck.deal(classes)
        yield np.concatenate([members[c][row_decks[c].deal(examples)] for c in drawn])
