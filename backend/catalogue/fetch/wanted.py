"""Which addresses a source names, on which hosts, and of which products."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backend.catalogue.fetch.address import parse
from backend.catalogue.fetch.finding import WANTED, AddressBook
from backend.catalogue.sources.tables.listing import TableSource

if TYPE_CHECKING:
    from collections.abc import Iterator

_BATCH = 4096


def wanted_of(source: object) -> Iterator[tuple[str, str, str]]:
    """Give host, address and owner of every picture of a source that is at an address.

    The owner is what products have in common that may share a picture: their group, else their title, else one product.

    Raises:
        CatalogueError: It cannot be read.
        DatasetUnavailable: It is gone.
    """
    if not isinstance(source, TableSource):  # pictures alone are where they are
        return
    base = source.addresses.base if source.addresses else ""
    entries = replace(source, addresses=AddressBook(None, base)).entries()
    for batch in entries.select(["locator", "more_pictures", "group_id", "title", "product_id"]).to_batches(_BATCH):
        for first, more, *owners in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            for locator in (first, *(more or ())):
                if locator is not None and locator.startswith(WANTED):
                    address = locator.removeprefix(WANTED)
                    yield parse(address).host, address, next((owner for owner in owners if owner), "")
