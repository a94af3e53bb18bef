"""The commands of collections: which there are, what is in one, and one written to a file or read from one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli.merchandising.rules import catalogue_named, user
from backend.errors import UsageError
from backend.files.storage import write_export

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.merchandising.collections.store import CollectionStore
    from backend.settings import Settings

Result = dict[str, Any]


def add_collections(commands: Any, command: Callable[..., Any]) -> None:
    """Add ``collections`` with its actions; ``command`` makes one with ``--json`` and a handler."""
    group = commands.add_parser("collections", help="products put together by hand, in order and with comments")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    command(actions, "list", "List the collections of a catalogue.", show_list)
    shown = command(actions, "show", "Show a collection: its products, comments and state.", show)
    exported = command(actions, "export", "Write a collection to a file.", export)
    for one in (shown, exported):
        one.add_argument("collection", metavar="COLLECTION", help="its id or name; ID@VERSION for an older version")
    exported.add_argument("file", type=Path, metavar="FILE", help=".csv, .html, or .zip with the pictures")
    read = command(actions, "import", "Make a collection of a CSV with product ids, or put them into one.", read_file)
    read.add_argument("file", type=Path, metavar="FILE", help="CSV with the column product_id and, if wanted, comment")
    read.add_argument("--name", required=True, help="name of the collection; one of this name gets this content")
    read.add_argument("--by", default="", help="who; default: the user of this computer")
    for one in actions.choices.values():
        one.add_argument("--catalogue", default="", help="name of the catalogue; default: the only one")


def show_list(options: argparse.Namespace, settings: Settings) -> Result:
    """``collections list``."""
    store = _store(options, settings)
    found = store.read()
    listed = [
        {"id": one.id, "name": one.name, "products": len(one.products), "owner": one.owner, "state": _state(one)}
        for one in found.collections
    ]
    return {"catalogue": store.catalogue, "version": found.version, "collections": listed}


def show(options: argparse.Namespace, settings: Settings) -> Result:
    """``collections show``."""
    from backend.catalogue.snapshot import open_snapshot
    from backend.merchandising.collections.collection import as_plain
    from backend.merchandising.collections.exports import gone
    from backend.merchandising.known_products import KnownProducts

    store = _store(options, settings)
    one, version = store.asked(options.collection)
    known = KnownProducts.of(open_snapshot(settings.catalogues_dir, store.catalogue)).ids
    plain = {"products": [], "comments": {}, **as_plain(one)}
    return {"catalogue": store.catalogue, "version": version, **plain, "state": _state(one), "gone": gone(one, known)}


def export(options: argparse.Namespace, settings: Settings) -> Result:
    """``collections export``."""
    from backend.catalogue.snapshot import open_snapshot
    from backend.merchandising.collections.exports import as_csv, as_zip
    from backend.merchandising.collections.sheet import as_sheet

    writers: dict[str, Callable[[Any, Any], bytes]] = {
        ".csv": lambda one, snapshot: as_csv(one, snapshot).encode("utf-8-sig"),
        ".html": lambda one, snapshot: as_sheet(one, snapshot).encode(),
        ".zip": as_zip,
    }
    writer = writers.get(options.file.suffix.lower())
    if writer is None:
        raise UsageError(f"{options.file.name} is of no kind that is written.", next_step="Use .csv, .html or .zip.")
    store = _store(options, settings)
    one, version = store.asked(options.collection)
    write_export(options.file.expanduser(), writer(one, open_snapshot(settings.catalogues_dir, store.catalogue)))
    return {"collection": one.id, "version": version, "products": len(one.products), "written": str(options.file)}


def read_file(options: argparse.Namespace, settings: Settings) -> Result:
    """``collections import``."""
    from backend.merchandising.collections.collection import begun, in_order
    from backend.merchandising.collections.exports import from_csv

    rows = from_csv(options.file.expanduser())
    store, by = _store(options, settings), options.by or user()
    found = store.read()
    one = next((one for one in found.collections if one.name.casefold() == options.name.casefold()), None)
    if one is None:
        one = begun(options.name, by, rows, rows)
    else:
        one = one.edited(products=tuple(rows), comments=in_order(rows, rows))
    done = store.put(one, base=found.version, by=by, note=f"From {options.file.name}")
    return {"collection": one.id, "version": done.version, "products": len(one.products), "changed": done != found}


def _state(one: Any) -> str:
    return f"approved by {one.approved_by} on {one.approved_at}" if one.is_approved else "draft"


def _store(options: argparse.Namespace, settings: Settings) -> CollectionStore:
    from backend.merchandising.collections.store import CollectionStore

    return CollectionStore(settings.collections_dir, catalogue_named(options, settings))
