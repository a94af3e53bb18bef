"""What the folders above pictures say: a split, as ``train/bag/1.jpg`` does, and a label."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from backend.catalogue.sources.tables.values import parse_split

if TYPE_CHECKING:
    from collections.abc import Sequence

# Folders that data sets name their splits by, in lower case.
_SPLIT_FOLDERS = frozenset({"train", "training", "validation", "val", "valid", "dev", "test", "testing"})
_ALSO_A_LABEL = "training"  # as in running, football, training

Folders = tuple[str, ...]


class FolderFacts(NamedTuple):
    """What the folders of one picture say; null where they say nothing."""

    split: str | None
    label: str | None


def read_folders(folders: Sequence[Folders]) -> list[FolderFacts]:
    """Read splits and labels from the folders above each picture, outermost first.

    The label is the innermost folder; one that names a split never is. A picture right inside a split has the label of
    the folder above the split, unless that one holds everything.

    Example:
        >>> read_folders([("train", "bag"), ("test", "bag"), ("test",)])
        [FolderFacts(split='train', label='bag'), FolderFacts(split='test', label='bag'), FolderFacts(split='test', label=None)]
    """
    inside: defaultdict[Folders, set[str]] = defaultdict(set)
    for path in set(folders):
        for depth, name in enumerate(path):
            inside[path[:depth]].add(name.lower())
    shared = _shared(folders)
    known = {path: _said(path, inside, shared) for path in set(folders)}
    return [known[path] for path in folders]


def _said(path: Folders, inside: dict[Folders, set[str]], shared: int) -> FolderFacts:
    splits = [depth for depth in range(len(path)) if _is_split(path[depth], inside[path[:depth]])]
    if not splits:
        return FolderFacts(None, path[-1] if path else None)
    first = splits[0]
    below = [path[depth] for depth in range(first, len(path)) if depth not in splits]
    label = below[-1] if below else path[first - 1] if first > shared else None
    return FolderFacts(parse_split(path[first]), label)


def _is_split(name: str, beside: set[str]) -> bool:
    plain = name.lower()
    return plain in _SPLIT_FOLDERS and (plain != _ALSO_A_LABEL or len(beside) == 1 or len(beside & _SPLIT_FOLDERS) > 1)


def _shared(folders: Sequence[Folders]) -> int:
    """Count the outermost folders that all pictures are in."""
    depth = 0
    for names in zip(*set(folders), strict=False):
        if len(set(names)) > 1:
            break
        depth += 1
    return depth
