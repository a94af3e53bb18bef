"""Collections in questions: the ones that a question names become a filter of product ids, which is what is logged, too."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backend.merchandising.collections.store import CollectionSet, CollectionStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_IDS = "product_id"
_NONE = ("",)  # no product has this id


class AskedCollections:
    """Looks collections up; any number of threads may ask.

    Args:
        folder: Of the collections of all catalogues.
    """

    def __init__(self, folder: Path) -> None:
        self._store = lru_cache(maxsize=8)(lambda catalogue: _Cached(folder, catalogue))

    def as_filters(self, catalogue: str, names: Sequence[str], filters: Mapping[str, Any]) -> dict[str, Any]:
        """Return filters with the products of collections among them: of any of several; with other ids, those in both.

        Raises:
            CatalogueError: There is no such collection, or it cannot be read.
        """
        found = [self._store(catalogue).asked(name)[0] for name in names]
        if not found:
            return dict(filters)
        ids = tuple(dict.fromkeys(name for one in found for name in one.products))
        if _IDS in filters:
            also = set(filters[_IDS])
            ids = tuple(name for name in ids if name in also)
        return {**filters, _IDS: ids or _NONE}


class _Cached(CollectionStore):
    """A store that remembers the version that it read last: a question costs a look at two file names."""

    _last = CollectionSet()

    def read(self, version: int | None = None) -> CollectionSet:
        version, last = self.newest() if version is None else version, self._last
        if last.version != version:
            self._last = last = super().read(version)
        return last
