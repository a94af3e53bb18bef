"""What a table's addresses are to a load: pictures that were fetched, or the reason why there is none; nothing is asked."""

from __future__ import annotations

from dataclasses import dataclass
from html import unescape
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow.compute as pc

from backend.catalogue.fetch.address import parse, shown
from backend.catalogue.fetch.records import records_of
from backend.catalogue.fetch.store import SCHEME
from backend.catalogue.sources.pictures.files import FOREIGN_SUFFIXES
from backend.catalogue.sources.pictures.names import SEVERAL, Place, is_address, pictures_in, several
from backend.errors import ImageRejected

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from backend.catalogue.fetch.records import Kept
    from backend.catalogue.fetch.store import PictureStore
    from backend.catalogue.sources.sources import Picture

WANTED = "wanted:"  # of a locator that is an address which is still to be fetched
NOT_ASKED_YET = "not_fetched: This picture is at a web address."
_FETCH = "Fetch the pictures of this table first, or put the files next to it."
_GONE = "The fetched picture is no longer in the store."


@dataclass(frozen=True, slots=True)
class AddressBook:
    """Finds and reads the fetched pictures of a table; small when pickled.

    Attributes:
        store: Where they are; None for whoever lists what is to be fetched: all are then found, as locators of
            :data:`WANTED` and the address.
        base: Where the table was fetched from, to which paths in it are relative; empty where addresses are whole.
    """

    store: PictureStore | None
    base: str = ""

    def finder(self, local: Callable[[str], Place]) -> Callable[[str], Place]:
        """Return what finds the picture that a row names; what is no address, ``local`` finds."""
        look = records_of(self.store).lookup() if self.store else None
        base = parse(self.base) if self.base else None

        def one(named: str) -> Place:
            try:
                key = parse(unescape(named), base).url
            except ImageRejected as refused:
                return Place(reason=f"{refused.code}: {refused.message} {refused.next_step}", path=_path(shown(named)))
            if self.store is None or look is None:
                return Place(f"{WANTED}{key}", path=_path(key))
            place = _place(key, look(key), self.store)
            beside = local(named) if place.locator is None and not base else place
            return beside if beside.reason is None else place

        def find(named: str) -> Place:
            if not base and not is_address(named):
                return local(named)
            parts = pictures_in(named)
            if len(parts) < 2 or not (is_address(named) or all(PurePosixPath(part).suffix for part in parts)):
                return one(named)  # of a path, a comma may be a part
            return several(one, parts)._replace(warning=SEVERAL)

        return find

    def reader(self, local: Callable[[str], Picture]) -> Callable[[str], Picture]:
        """Return what reads a picture by its locator; what is not in the store, ``local`` reads."""

        def read(locator: str) -> Picture:
            if self.store is None or not locator.startswith(SCHEME):
                return local(locator)
            data = self.store.read(locator.removeprefix(SCHEME))
            return data if data is not None else ImageRejected(_GONE, code="not_fetched", next_step=_FETCH)

        return read


def named_by_address(entries: pa.Table) -> int:
    """Count the entries whose pictures are at web addresses, fetched or not."""
    fetched = pc.starts_with(entries["locator"], SCHEME)
    reasons = pc.match_substring_regex(entries["reason"], "^(address|not_fetched|placeholder):")
    return int(pc.sum(pc.or_(pc.fill_null(fetched, False), pc.fill_null(reasons, False))).as_py() or 0)


def _place(address: str, known: Kept | None, store: PictureStore) -> Place:
    """Say where the picture of an address is, or why there is none."""
    if known is None:
        return Place(reason=f"{NOT_ASKED_YET} {_FETCH}", path=_path(address))
    if known.is_placeholder:
        sentence = "Many different products have this very picture, so it shows none of them. Give it one that does."
        return Place(reason=f"placeholder: {sentence}", path=_path(address))
    if not known.sha256:
        return Place(reason=f"not_fetched: {known.reason.partition(':')[2].strip()}", path=_path(address))
    if not store.has(known.sha256):
        return Place(reason=f"not_fetched: {_GONE} {_FETCH}", path=_path(address))
    return Place(f"{SCHEME}{known.sha256}", path=_path(address, known.kind))


def _path(address: str, kind: str = "") -> str:
    """Return host and path of an address, as an id is made of; with the suffix of what it turned out to be."""
    path = unquote(address.partition("//")[2].partition("?")[0])
    is_misnamed = kind and PurePosixPath(path).suffix.lower() in FOREIGN_SUFFIXES
    return f"{path}.{kind.lower()}" if is_misnamed else path
