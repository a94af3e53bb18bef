"""The collections of a catalogue, kept as :mod:`backend.merchandising.kept_sets` keeps sets; every change is a version."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import CatalogueError, CatalogueNotFound, ChangedMeanwhile
from backend.merchandising.collections.collection import Collection, as_plain, from_plain
from backend.merchandising.collections.together import together
from backend.merchandising.kept_sets import KeptSets
from backend.merchandising.merging import by_id
from backend.retrieval.rules.rule_set import EMPTY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backend.merchandising.kept_sets import Published
    from backend.merchandising.merging import Difference

MAX_COLLECTIONS, MAX_IN_ALL = 500, 100_000  # of one catalogue; products in all of them
_TOUCHED = "of"  # in the note of a commit: ids of the collections that it changed
_NAMED = 20  # of them at most
_LOOKED_AT = 2_000  # versions, for those of one collection


@dataclass(frozen=True, slots=True)
class CollectionSet:
    """All collections of a catalogue at one version, ascending by id."""

    version: int = EMPTY
    collections: tuple[Collection, ...] = ()

    def get(self, wanted: str) -> Collection:
        """Return a collection by its id, or else by its name.

        Raises:
            CatalogueNotFound: There is none.
        """
        found = by_id(self.collections).get(wanted) or next(
            (one for one in self.collections if one.name.casefold() == wanted.strip().casefold()), None
        )
        if found is None:
            raise CatalogueNotFound(
                f"There is no collection {wanted[:80]}.",
                next_step="It was removed or renamed; see the page Collections.",
            )
        return found


def _version(done: CollectionSet) -> str:
    return words(version=done.version)


class CollectionStore(KeptSets[Collection]):
    """The collections of one catalogue; threads and processes may share it; see :class:`KeptSets`."""

    noun, format = "collections", 1
    columns = ("id", "name", "owner", "approved_by", "collection")
    constraints: ClassVar[Mapping[str, str]] = {"id_not_empty": "length(id) > 0", "name_not_empty": "length(name) > 0"}
    changed, same = ChangedMeanwhile, "the same part of a collection"
    changed_step = "What you entered is still here. Compare it with the current version, then choose which to keep."

    def read(self, version: int | None = None) -> CollectionSet:
        """Return the collections of a version, or the newest ones; raises as :meth:`items`."""
        version = self.newest() if version is None else version
        return CollectionSet(version, tuple(self.items(version)))

    @use_case(
        "collections.change",
        Role.MERCHANDISER,
        about=lambda self, one, **about: words(
            catalogue=self.catalogue, collection=one.id, base=about["base"], note=about.get("note")
        ),
        brings=_version,
    )
    def put(self, one: Collection, *, base: int, by: str, note: str = "") -> CollectionSet:
        """Keep a collection that is new, or was made of the one of version ``base``; what others did since then stays.

        Raises:
            ChangedMeanwhile: Somebody else changed the same in it since ``base``; nothing is changed.
            CatalogueError: It cannot be kept beside the others: the name is taken, or there are too many.
        """
        return self._changed_to({one.id: one}, one.id, base, {"by": by, "note": note})

    @use_case(
        "collections.remove",
        Role.MERCHANDISER,
        about=lambda self, name, **about: words(catalogue=self.catalogue, collection=name, base=about["base"]),
        brings=_version,
    )
    def remove(self, collection_id: str, *, base: int, by: str) -> CollectionSet:
        """Remove a collection; its older versions stay.

        Raises:
            ChangedMeanwhile: Somebody else changed it since ``base``.
        """
        return self._changed_to({}, collection_id, base, {"by": by, "note": "Removed"})

    @use_case(
        "collections.bring_back",
        Role.MERCHANDISER,
        about=lambda self, name, version, **_: words(catalogue=self.catalogue, collection=name, restored=version),
        brings=_version,
    )
    def bring_back(self, collection_id: str, version: int, *, by: str) -> CollectionSet:
        """Keep a collection as it was at a version, as the newest version: so any change is undone, a removal too.

        Raises:
            CatalogueNotFound: There is no such version.
        """
        older = {name: one for name, one in by_id(self.items(version)).items() if name == collection_id}
        about = {"by": by, "note": f"Back to version {version}", "restored": version}
        return self._changed_to(older, collection_id, self.newest(), about)

    def history_of(self, collection_id: str, *, limit: int = 50) -> list[Published]:
        """Return the versions that changed a collection, newest first."""
        found: list[Published] = []
        for version in range(self.newest(), max(self.newest() - _LOOKED_AT, EMPTY), -1):
            touched = self._info(version)[1].get(_TOUCHED)
            if collection_id in (self.changes(version).ids if touched is None else touched):
                found.append(self.published(version))
            if len(found) >= limit:
                break
        return found

    def asked(self, wanted: str) -> tuple[Collection, int]:
        """Return the collection that a question names, ``ID`` or ``ID@VERSION``, and the version.

        Raises:
            CatalogueNotFound: There is no such collection or version.
        """
        name, _, version = wanted.rpartition("@")
        found = self.read(int(version)) if name and version.isdecimal() and len(version) < 10 else self.read()
        return found.get(name if name and version.isdecimal() else wanted), found.version

    def _changed_to(self, items: dict[str, Collection], name: str, base: int, about: dict[str, Any]) -> CollectionSet:
        others = {key: one for key, one in by_id(self.items(base)).items() if key != name}
        mine = [one for _, one in sorted({**others, **items}.items())]
        return self.read(self._publish(mine, base, about))

    # What a collection is.

    def _row(self, item: Collection) -> dict[str, str]:
        row = {name: getattr(item, name) for name in self.columns[:-1]}
        return {**row, self.columns[-1]: json.dumps(as_plain(item), ensure_ascii=False)}

    def _item(self, raw: Any) -> Collection:
        return from_plain(raw)

    def _check(self, items: Sequence[Collection]) -> None:
        names = [one.name.casefold() for one in items]
        twice = next((one.name for one in items if names.count(one.name.casefold()) > 1), "")
        if twice:
            raise CatalogueError(f"There is already a collection {twice}.", next_step="Choose another name.")
        if len(items) > MAX_COLLECTIONS or sum(len(one.products) for one in items) > MAX_IN_ALL:
            raise CatalogueError(
                f"A catalogue has at most {MAX_COLLECTIONS} collections with {MAX_IN_ALL:,} products in all.",
                next_step="Remove a collection that is no longer needed.",
            )

    def _together(self, was: Collection, mine: Collection, theirs: Collection) -> Collection | None:
        return together(was, mine, theirs)

    def _called(self, name: str, items: Sequence[Collection]) -> str:
        found = by_id(items).get(name)
        return found.name if found else name

    def _noted(self, found: Difference) -> dict[str, Any]:
        touched = sorted(found.ids)
        return {**found.counts, **({_TOUCHED: touched} if len(touched) <= _NAMED else {})}
