"""Labels that differ by case or blanks only, which are meant to be one."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from backend.catalogue.sources.pictures.names import composed
from backend.catalogue.sources.sources import remarks_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend.catalogue.sources.sources import Picture, Source


def alike(labels: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Group labels that differ by case, blanks or Unicode's forms only.

    Args:
        labels: Products by label.

    Returns:
        The spellings of each group of two or more, by the one that most products have.

    Example:
        >>> alike({"bag": 3, "Bag": 2, "hat": 1})
        {'bag': ('Bag', 'bag')}
    """
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for label in sorted(labels):
        groups[" ".join(composed(label).casefold().split())].append(label)
    several = [group for group in groups.values() if len(group) > 1]
    return {" ".join(max(group, key=labels.__getitem__).split()): tuple(group) for group in several}


def spellings(labels: Mapping[str, int]) -> dict[str, str]:
    """Return the one that each label that has others alike becomes, by its spelling."""
    return {spelling: label for label, group in alike(labels).items() for spelling in group}


def recounted(counts: Mapping[str, int], kept: Mapping[str, str]) -> dict[str, int]:
    """Add up counts by label once spellings have become the ones that are kept."""
    summed: defaultdict[str, int] = defaultdict(int)
    for label, count in counts.items():
        summed[kept.get(label, label)] += count
    return dict(summed)


def listed(spellings: tuple[str, ...]) -> str:
    """Say spellings of a label, in quotes where one has blanks at an end: ``Bag, bag and 'bag '``."""
    shown = [f"'{label}'" if label != label.strip() or "  " in label else label for label in spellings]
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def apart(labels: Mapping[str, int]) -> list[str]:
    """Return a sentence for each group of labels that are alike and stay apart."""
    return [
        f"{listed(group)} differ only in case or spaces, and stay separate labels." for group in alike(labels).values()
    ]


@dataclass(frozen=True, slots=True)
class OneLabelEach:
    """A source whose labels that are alike are one: the spelling that most products have."""

    source: Source

    @property
    def name(self) -> str:
        """The source's own."""
        return self.source.name

    def entries(self) -> pa.Table:
        """List the products; errors are the source's own."""
        entries = self.source.entries()
        labels = entries["label"].to_pylist()
        kept = spellings(Counter(label for label in labels if label is not None))
        column = pa.array([kept.get(label, label) for label in labels], pa.string())
        return entries.set_column(entries.schema.get_field_index("label"), "label", column)

    def remarks(self) -> tuple[str, ...]:
        """What the source says."""
        return remarks_of(self.source)

    def read(self, entries: pa.RecordBatch) -> list[Picture]:
        """Read the source's pictures."""
        return self.source.read(entries)
