"""What a distributed training can show for having been right: measured on the ranks, compared on the driver."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.feeding.shards import ShardPlan
    from backend.training.ranks.communicator import Communicator


@dataclass(frozen=True, slots=True)
class RankReport:
    """What one rank says of itself when it is done.

    Attributes:
        rank: Its number.
        host: Where it ran.
        device: What it computed on, ``cpu`` or ``gpu``.
        ids_hash: SHA-256 over the ids of its decoded train products and of those it could not read, in their order.
        classes: Labels among them.
        examples: Pictures in one of its batches.
        examples_per_second: Of its last epoch.
        waiting_share: Of its last epoch.
        ranks_equal: Whether it found the weights of all ranks equal, bit for bit, after every epoch.
    """

    rank: int
    host: str
    device: str
    ids_hash: str
    classes: int
    examples: int
    examples_per_second: float
    waiting_share: float
    ranks_equal: bool


@dataclass(frozen=True, slots=True)
class RunProof:
    """The card of a distributed training.

    Attributes:
        workers: Number of ranks.
        ranks_equal: All ranks had the same weights after every epoch, bit for bit.
        shards_as_planned: Every rank decoded exactly the products of its shard.
        disjoint, covering, every_class_everywhere: Of the shards; see :class:`backend.feeding.shards.ShardFacts`.
        shard_mode: What was dealt out.
        rows: Train products of each rank.
        global_batch: Pictures that the loss of one step compares.
        examples_per_second: Of each rank, in its last epoch.
        waiting_share: Of each rank: share of that time spent waiting for batches.
        hosts, devices: Of each rank.
        first_step_s: From the launch to the end of the first step.
        reader: What read the catalogue's files.
    """

    workers: int
    ranks_equal: bool
    shards_as_planned: bool
    disjoint: bool
    covering: bool
    every_class_everywhere: bool
    shard_mode: str
    rows: tuple[int, ...]
    global_batch: int
    examples_per_second: tuple[float, ...]
    waiting_share: tuple[float, ...]
    hosts: tuple[str, ...]
    devices: tuple[str, ...]
    first_step_s: float
    reader: str

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the training."""
        return all(
            (self.ranks_equal, self.shards_as_planned, self.disjoint, self.covering, self.every_class_everywhere)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the card as JSON values."""
        return {**asdict(self), "holds": self.holds}


def ids_hash(product_ids: Sequence[str]) -> str:
    """Return a SHA-256 over ids, in alphabetical order."""
    return hashlib.sha256("\n".join(sorted(product_ids)).encode()).hexdigest()


def are_equal(arrays: Sequence[NDArray[np.float32]], ranks: Communicator) -> bool:
    """Tell whether all ranks hold the same arrays, bit for bit; every rank must ask."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    found = ranks.gather_values(np.frombuffer(digest.digest(), dtype=np.uint8))
    return bool((found == found[0]).all())


def prove(plan: ShardPlan, reports: Sequence[RankReport], *, first_step_s: float, reader: str) -> RunProof:
    """Hold what the ranks report against the shards that were planned."""
    facts = plan.facts
    planned = [ids_hash(plan.shard(report.rank).product_ids.tolist()) for report in reports]
    return RunProof(
        workers=len(reports),
        ranks_equal=all(report.ranks_equal for report in reports),
        shards_as_planned=planned == [report.ids_hash for report in reports],
        disjoint=facts.disjoint,
        covering=facts.covering,
        every_class_everywhere=facts.every_class_everywhere,
        shard_mode=facts.mode,
        rows=facts.rows,
        global_batch=sum(report.examples for report in reports),
        examples_per_second=tuple(round(report.examples_per_second, 1) for report in reports),
        waiting_share=tuple(round(report.waiting_share, 4) for report in reports),
        hosts=tuple(report.host for report in reports),
        devices=tuple(report.device for report in reports),
        first_step_s=round(first_step_s, 2),
        reader=reader,
    )
