"""The command ``substitutes``: find products in stock for what is not, write what was kept to a file, tell the readiness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli.console import ConsoleProgress
from backend.cli.merchandising.rules import catalogue_named
from backend.cli.options import add_model
from backend.cli.running import carry_out
from backend.errors import UsageError
from backend.flow.requests import ReadinessRequest, SubstitutesRequest
from backend.retrieval.rules.rule import NAMED_BY

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.flow.index_requests import Selection
    from backend.merchandising.substitutes.files import FileKind
    from backend.settings import Settings

Result = dict[str, Any]
_LAYOUTS = ("csv", "xlsx", "shopify", "woocommerce")


def add_substitutes(commands: Any, command: Callable[..., Any]) -> None:
    """Add the command and its actions; ``command`` makes one that has ``--json``."""
    says = "In-stock products that look like those that are sold out."
    group = commands.add_parser("substitutes", help=says, description=says)
    actions = group.add_subparsers(required=True, metavar="ACTION")
    found = command(actions, "find", "Find the substitutes of a selection, by default of what is sold out.", find)
    chosen = found.add_mutually_exclusive_group()
    chosen.add_argument("--new-since", metavar="DATE", default="", help="of products that are new since a date")
    chosen.add_argument("--ids", type=Path, metavar="FILE", help="of the products in a text file, one id per line")
    chosen.add_argument("--filter", nargs="+", metavar="NAME=VALUE", default=[], help="of products that pass filters")
    chosen.add_argument("--photos", metavar="PATH", default="", help="of the photos in a folder, a zip file or a table")
    found.add_argument("-k", type=int, default=5, help="candidates for each, default 5")
    ready = command(actions, "readiness", "Show how much of the range has a twin in stock.", tell_readiness)
    ready.add_argument(
        "--since", default="", metavar="DATE", help="compare the stock with this date, default yesterday"
    )
    for one in (found, ready):
        _add_limits(one)
    export = command(actions, "export", "Write the kept substitutes to a file.", export_file)
    export.add_argument("file", type=Path, metavar="FILE", help="file to write")
    export.add_argument("--catalogue", default="", help="name of the catalogue; default: the only one")
    export.add_argument("--layout", choices=_LAYOUTS, default="", help="layout; default: by the file's suffix")
    export.add_argument("--unchecked", action="store_true", help="include those that are not checked yet")


def _add_limits(command: Any) -> None:
    add_model(command, help_text="name of the model; default: the one that the endpoint answers with")
    command.add_argument(
        "--price", type=float, default=15.0, metavar="PERCENT", help="price within this many percent, default 15"
    )
    command.add_argument("--any-price", action="store_true", help="do not limit the price")
    command.add_argument(
        "--at-least", type=float, default=0.0, metavar="PERCENT", help="price of at least this share of the product's"
    )
    command.add_argument("--same", nargs="+", choices=NAMED_BY, default=[], help="what a substitute has to share")
    command.add_argument(
        "--unknown-stock", action="store_true", help="count products whose stock is not stated as in stock"
    )


def find(options: argparse.Namespace, settings: Settings) -> Result:
    """``substitutes find``."""
    named: dict[Selection, Any] = {
        "new": options.new_since,
        "list": options.ids,
        "filter": options.filter,
        "photos": options.photos,
    }
    selection: Selection = next((name for name, value in named.items() if value), "sold out")
    ids = options.ids.read_text(encoding="utf-8-sig").split("\n") if options.ids else []
    request = SubstitutesRequest(
        model=options.model,
        selection=selection,
        since=options.new_since,
        ids=ids,
        filters=_filters(options.filter),
        path=options.photos,
        k=options.k,
        **_limits(options),
    )
    return carry_out(request, settings)


def tell_readiness(options: argparse.Namespace, settings: Settings) -> Result:
    """``substitutes readiness``."""
    return carry_out(ReadinessRequest(model=options.model, since=options.since, **_limits(options)), settings)


def export_file(options: argparse.Namespace, settings: Settings) -> Result:
    """``substitutes export``."""
    from backend.catalogue.snapshot import open_snapshot
    from backend.files.storage import write_export
    from backend.merchandising.substitutes.files import as_file
    from backend.merchandising.substitutes.kept import Checks

    by_suffix: FileKind = "xlsx" if options.file.suffix.lower() == ".xlsx" else "csv"
    layout: FileKind = options.layout or by_suffix
    catalogue = catalogue_named(options, settings)
    with ConsoleProgress().cancelled_by_signals():
        check = Checks(settings.substitutes_dir, catalogue).load()
        snapshot = open_snapshot(settings.catalogues_dir, catalogue)
        write_export(options.file, as_file(check, snapshot, layout, unchecked=options.unchecked))
    return {"file": str(options.file), "layout": layout, "products": len(check.kept(unchecked=options.unchecked))}


def _limits(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "price": None if options.any_price else options.price,
        "at_least": options.at_least,
        "same": options.same,
        "unknown": options.unknown_stock,
    }


def _filters(pairs: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        name, is_given, value = pair.partition("=")
        if not is_given:
            raise UsageError(f"{pair[:40]!r} is no filter.", next_step="Write it as label=Boots.")
        found[name] = [*found.get(name, []), value]
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}
