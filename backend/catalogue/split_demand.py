"""Whether shares leave a split empty, told from counts before anything is drawn, and the share that would do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from backend.catalogue.items import USES
from backend.catalogue.labels import recounted
from backend.catalogue.splits import share_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backend.catalogue.splits import SplitPlan


@dataclass(frozen=True, slots=True)
class SplitDemand:
    """What a draw goes by: the same counts as :func:`splits.assign_splits` sees.

    Attributes:
        open: Labelled products without a split, by label.
        train: Labelled products that the source puts into train, by label.
        stated: Splits that the source states for some product.
    """

    open: Mapping[str, int]
    train: Mapping[str, int]
    stated: frozenset[str]

    def with_labels(self, kept: Mapping[str, str]) -> SplitDemand:
        """Return the demand once some spellings of labels have become others."""
        return replace(self, open=recounted(self.open, kept), train=recounted(self.train, kept))


def demand_of(labels: Sequence[str | None], splits: Sequence[str | None]) -> SplitDemand:
    """Count products by label and split, both null where there is none."""
    kinds = [(label or "").strip() for label in labels]
    counted = Counter(zip(kinds, splits, strict=True))
    by_split = {
        wanted: {label: count for (label, split), count in counted.items() if label and split == wanted}
        for wanted in (None, "train")
    }
    return SplitDemand(by_split[None], by_split["train"], frozenset(split for split in splits if split))


def shortfalls(demand: SplitDemand, plan: SplitPlan) -> list[str]:
    """Return a sentence for each of test and validation that nobody would be in, with the share that would do."""
    drawn = {label: share_of(count, plan.test_share) for label, count in demand.open.items()}
    left = Counter(demand.train) + Counter({label: demand.open[label] - drawn[label] for label in drawn})
    learnt = {label: count for label, count in left.items() if label not in plan.unseen}
    sentences = []
    if demand.open and "test" not in demand.stated and not any(drawn.values()):
        sentences.append(_sentence("test", max(demand.open.values())))
    takes_some = any(share_of(count, plan.validation_share) for count in learnt.values())
    if learnt and "validation" not in demand.stated and not takes_some:
        sentences.append(_sentence("validation", max(learnt.values())))
    return sentences


def _sentence(split: str, most: int) -> str:
    """Say that a split stays empty, where the largest label has ``most`` products to draw it from."""
    use = USES[split].lower()
    if most < 2:
        return f"No product would be set aside for the {use}, because no label has two products to draw from."
    return (
        f"No product would be set aside for the {use}: labels have at most {most:,} products to draw from. "
        f"A share of {ceil(50 / most) / 100:.2f} for the {use} would do."
    )
