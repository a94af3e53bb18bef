"""A split cut into one shard for each rank: disjoint, covering, every class in every shard; seeded, so that all ranks
cut alike without a word between them.

Whole row groups are dealt out where that gives every rank every class and about as many rows as any other: then a rank
reads its own row groups only. Otherwise the rows of each class are dealt out one by one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from backend.errors import ConfigurationError
from backend.feeding.split_index import index_split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.feeding.split_index import SplitIndex

ShardMode = Literal["whole", "row groups", "rows"]
_LARGEST_DIFFERENCE = 0.1  # between two shards of row groups, in shares of their mean


@dataclass(frozen=True, slots=True)
class Shard:
    """One rank's part of a split.

    Attributes:
        rank: Whose part, from 0.
        ranks: Number of parts.
        seed: Another seed, other parts; the same for all ranks.
        classes: Labels that every rank must have; empty: all of them.
    """

    rank: int
    ranks: int
    seed: int = 0
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.ranks:
            raise ConfigurationError(
                f"Rank {self.rank} of {self.ranks} does not exist.", next_step="Ranks are counted from 0."
            )


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """What can be said of the shards after looking at their ids, for the card that proves it.

    Attributes:
        mode: What was dealt out.
        rows: Rows of each rank.
        classes: Classes of each rank.
        disjoint: No id is in two shards.
        covering: Every id of the split is in a shard, and no others.
        every_class_everywhere: Every rank has every class of the split, or of those asked for.
    """

    mode: ShardMode
    rows: tuple[int, ...]
    classes: tuple[int, ...]
    disjoint: bool
    covering: bool
    every_class_everywhere: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON-ready values."""
        return {**asdict(self), "rows": list(self.rows), "classes": list(self.classes)}


@dataclass(frozen=True)
class ShardPlan:
    """All shards of a split.

    Attributes:
        index: The rows of the split.
        ranks: Number of shards.
        mode: What was dealt out.
        owner: Rank of each row, int64 (N,).
        classes: Labels that every rank must have.
    """

    index: SplitIndex
    ranks: int
    mode: ShardMode
    owner: NDArray[np.int64]
    classes: tuple[str, ...]

    def shard(self, rank: int) -> SplitIndex:
        """Return the rows of a rank, in the order of their ids."""
        return self.index.take(np.flatnonzero(self.owner == rank))

    @cached_property
    def facts(self) -> ShardFacts:
        """What the ids of all shards show."""
        return facts_of([self.shard(rank) for rank in range(self.ranks)], self.index, self.mode, self.classes)


def facts_of(
    shards: Sequence[SplitIndex], whole: SplitIndex, mode: ShardMode, classes: Sequence[str] = ()
) -> ShardFacts:
    """Compare the ids and labels of shards with each other and with those of the whole split."""
    ids = [set(shard.product_ids.tolist()) for shard in shards]
    labels = [set(shard.labels.tolist()) for shard in shards]
    everything = set().union(*ids)
    needed = set(classes) or set(whole.labels.tolist())
    return ShardFacts(
        mode=mode,
        rows=tuple(len(shard) for shard in shards),
        classes=tuple(map(len, labels)),
        disjoint=len(everything) == sum(len(shard) for shard in shards),
        covering=everything == set(whole.product_ids.tolist()),
        every_class_everywhere=all(needed <= found for found in labels),
    )


def shard_plan(snapshot: Snapshot, split: str, ranks: int, *, seed: int = 0, classes: Sequence[str] = ()) -> ShardPlan:
    """Cut a split of a catalogue version; see :func:`cut`."""
    return cut(index_split(snapshot, split), ranks, seed=seed, classes=classes)


def cut(index: SplitIndex, ranks: int, *, seed: int = 0, classes: Sequence[str] = ()) -> ShardPlan:
    """Cut a split into shards, the same for the same version, ranks and seed.

    Args:
        index: The rows of the split.
        ranks: Number of shards.
        seed: Another seed, another cut.
        classes: Labels that every rank must have; empty: all of the split. Rows of others are dealt out as they come.

    Raises:
        ConfigurationError: A class has fewer rows than there are ranks.
    """
    needed = tuple(classes) or tuple(np.unique(index.labels).tolist())
    _check_rows(index, ranks, needed)
    rng = np.random.default_rng((seed, ranks))
    if ranks == 1:
        return ShardPlan(index, 1, "whole", np.zeros(len(index), dtype=np.int64), needed)
    plan = ShardPlan(index, ranks, "row groups", _by_group(index.group, ranks, rng), needed)
    rows = plan.facts.rows
    is_even = max(rows) - min(rows) <= _LARGEST_DIFFERENCE * len(index) / ranks
    if is_even and plan.facts.every_class_everywhere:
        return plan
    return ShardPlan(index, ranks, "rows", _by_row(index.labels, ranks, rng), needed)


def _check_rows(index: SplitIndex, ranks: int, needed: Sequence[str]) -> None:
    for label in needed:
        count = int(np.count_nonzero(index.labels == label))
        if count < ranks:
            raise ConfigurationError(
                f"Each of the {ranks} workers must have every label, but {label!r} has only {count} "
                f"{'product' if count == 1 else 'products'} to train on.",
                next_step=f"Use at most {max(count, 1)}, or add products with this label.",
            )


def _by_group(group: NDArray[np.int64], ranks: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal out row groups, the largest first, each to the rank that has the fewest rows; equal ones are shuffled."""
    numbers, group_of_row, sizes = np.unique(group, return_inverse=True, return_counts=True)
    shuffled = rng.permutation(len(numbers))
    owner, rows = np.empty(len(numbers), dtype=np.int64), np.zeros(ranks, dtype=np.int64)
    for number in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        owner[number] = np.argmin(rows)
        rows[owner[number]] += sizes[number]
    return owner[group_of_row]


def _by_row(labels: NDArray[np.str_], ranks: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal out the shuffled rows of each class in turn; the next class goes on where the one before ended."""
    _, class_of_row = np.unique(labels, return_inverse=True)
    by_class = np.lexsort((rng.random(len(labels)), class_of_row))
    owner = np.empty(len(labels), dtype=np.int64)
    owner[by_class] = np.arange(len(labels)) % ranks
    return owner
