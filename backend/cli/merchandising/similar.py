"""The command ``similar``: make the table of similar products that a shop's page reads, keep it, and give it away as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli.console import ConsoleProgress
from backend.cli.options import add_model
from backend.cli.running import carry_out
from backend.flow.requests import SimilarRequest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.settings import Settings

Result = dict[str, Any]
_USUAL_K = 12


def add_similar(commands: Any, command: Callable[..., Any]) -> None:
    """Add the command and its actions; ``command`` makes one that has ``--json``."""
    group = commands.add_parser(
        "similar",
        help="Every product with those most like it, as a table for the shop's page.",
        description="Every product with those most like it, as a table for the shop's page.",
    )
    actions = group.add_subparsers(required=True, metavar="ACTION")
    for name, says, again in (
        ("build", "Make the whole table again.", True),
        ("refresh", "Look up only what changed.", False),
    ):
        made = command(actions, name, says, make_table)
        add_model(made, help_text="name of the model; default: the one that the endpoint answers with")
        made.add_argument("-k", type=int, default=_USUAL_K, help="similar products of each product, default 12")
        made.set_defaults(again=again)
    show = command(actions, "show", "Show what the table was made from.", show_table)
    show.add_argument("catalogue", metavar="CATALOGUE")
    export = command(actions, "export", "Write the table to a file.", export_table)
    export.add_argument("catalogue", metavar="CATALOGUE")
    export.add_argument("file", type=Path, metavar="FILE", help="file to write; a .zip includes the pictures")
    layouts = ("wide", "long", "jsonl", "shopify", "woocommerce")
    export.add_argument("--layout", choices=layouts, default="wide", help="layout of the file, default wide")


def make_table(options: argparse.Namespace, settings: Settings) -> Result:
    """``similar build`` and ``similar refresh``."""
    return carry_out(SimilarRequest(model=options.model, k=options.k, again=options.again), settings)


def show_table(options: argparse.Namespace, settings: Settings) -> Result:
    """``similar show``."""
    from backend.merchandising.similar.stand import made_of

    return made_of(settings.similar_dir, options.catalogue)


def export_table(options: argparse.Namespace, settings: Settings) -> Result:
    """``similar export``."""
    from backend.merchandising.similar.exports import export

    with ConsoleProgress().cancelled_by_signals() as progress:
        done = export(
            settings.similar_dir, settings.catalogues_dir, options.catalogue, options.layout, options.file, progress
        )
    return {"file": str(options.file), "layout": options.layout, **done.as_dict()}
