"""The commands of catalogues: their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from backend.catalogue.items import GONE_POLICIES
from backend.cli import catalogue_actions as handlers
from backend.cli import renewing
from backend.flow.requests import SourceName

if TYPE_CHECKING:
    from collections.abc import Callable


def add_catalogue(commands: Any, command: Callable[..., Any]) -> None:
    """Add ``catalogue`` with its actions; ``command`` makes one with ``--json`` and a handler."""
    catalogue = commands.add_parser("catalogue", help="load, inspect and maintain catalogues")
    actions = catalogue.add_subparsers(required=True, metavar="ACTION")
    _add_loading(actions, command)
    command(actions, "list", "List the catalogues.", handlers.list_catalogues)
    show = _named(actions, command, "show", "Show counts, splits and version of a catalogue.", handlers.show_catalogue)
    show.add_argument("--version", type=int, default=None, help="Delta version; default: the newest")
    rejected = _named(actions, command, "rejected", "Show the rejected rows.", handlers.show_rejected)
    rejected.add_argument(
        "--export", default="", metavar="FILE", help="write them as a zip file to correct and load again"
    )
    rejected.add_argument(
        "--staged", default="", metavar="NAME", help="those of a load that is checked but not committed"
    )
    _named(actions, command, "history", "Show the versions of a catalogue.", handlers.show_history)
    changes = _named(actions, command, "changes", "Show what changed between two versions.", handlers.show_changes)
    changes.add_argument("--since", type=int, default=None, help="from this version")
    changes.add_argument("--since-model", default="", help="from the version that a model was trained on")
    changes.add_argument("--until", type=int, default=None, help="to this version; default: the newest")
    _add_keeping(actions, command)


def _add_loading(actions: Any, command: Callable[..., Any]) -> None:
    ingest = command(actions, "ingest", "Load a source into a catalogue.", handlers.ingest_source)
    _add_source(ingest)
    ingest.add_argument("--catalogue", default="", help="name of the catalogue; default: that of the built-in source")
    _add_splits(ingest)
    ingest.add_argument("--merge-labels", action="store_true", help="merge labels that differ only in case or spaces")
    ingest.add_argument(
        "--redraw", action="store_true", help="also reassign products that are already in the catalogue"
    )
    _add_gone(ingest)
    ingest.add_argument("--check", action="store_true", help="only check what would change; run `commit` to store it")
    ingest.add_argument("--no-quality", action="store_true", help="do not measure the pictures afterwards")
    _add_fetching(actions, command)
    _add_renewing(actions, command)
    preview = command(
        actions,
        "preview",
        "Show the first rows of a source, and what each column was recognised as.",
        handlers.preview_source,
    )
    _add_source(preview)
    mended = command(
        actions,
        "export",
        "Write a table with its own columns, corrected as a load reads it, and what was changed.",
        handlers.export_mended,
    )
    _add_source(mended)
    mended.add_argument("--output", required=True, metavar="FILE", help="the CSV file to write")
    commit = command(actions, "commit", "Commit a load that was checked.", handlers.commit_staged)
    commit.add_argument("staged", help="name that the check printed")
    _add_gone(commit)


def _add_fetching(actions: Any, command: Callable[..., Any]) -> None:
    fetch = command(
        actions,
        "fetch",
        "Fetch the pictures that a table names by web address; loads then find them.",
        renewing.fetch,
    )
    _add_source(fetch)
    fetch.add_argument(
        "--confirm", action="append", default=[], metavar="HOST", help="allow a host besides TWINSET_PICTURE_HOSTS"
    )
    fetch.add_argument(
        "--check", action="store_true", help="fetch a sample only, and estimate size and time of the rest"
    )
    fetch.add_argument("--failed", action="store_true", help="fetch only those that failed before")
    for option, what in (("accept", "these are real pictures"), ("refuse", "take that back")):
        fetch.add_argument(
            f"--{option}-placeholder",
            action="append",
            default=[],
            metavar="HASH",
            help=f"of a picture that many products share: {what}; alone, nothing is fetched",
        )
    fetch.add_argument(
        "--fresh-hours", type=float, default=1.0, help="do not check younger pictures for changes, default 1"
    )


def _add_renewing(actions: Any, command: Callable[..., Any]) -> None:
    keep = _named(actions, command, "remember", "Remember what a catalogue is loaded from.", renewing.remember_source)
    _add_source(keep)
    keep.add_argument("--address", default="", metavar="URL", help="web address of a feed, instead of a path")
    keep.add_argument(
        "--every", type=float, default=0.0, metavar="HOURS", help="load it again by itself, while running"
    )
    keep.add_argument("--forget", action="store_true", help="forget it; the catalogue is kept")
    _add_gone(keep)
    renew = _named(actions, command, "renew", "Load the remembered source again.", renewing.renew_catalogue)
    renew.add_argument(
        "--confirmed", action="store_true", help="store it even if over a tenth of the products is missing"
    )


def _add_source(parser: Any) -> None:
    parser.add_argument(
        "--source", choices=get_args(SourceName), default=None, help="default: recognised from the path"
    )
    parser.add_argument("--path", default="", help="folder, zip, CSV or Parquet file, or Delta table")
    parser.add_argument(
        "--map", action="append", default=[], metavar="FIELD=COLUMN", help="column of a table; default: guessed"
    )
    parser.add_argument(
        "--label-from", choices=("folder", "none"), default="folder", help="source of labels for folders and zip files"
    )
    parser.add_argument(
        "--table", default="", metavar="NAME", help="table of a folder or zip; `none` loads only the pictures"
    )
    parser.add_argument("--source-version", type=int, default=None, help="version of a Delta table to read")


def _add_splits(parser: Any) -> None:
    parser.add_argument(
        "--validation-share", type=float, default=0.1, help="progress check: share of the train split, default 0.1"
    )
    parser.add_argument(
        "--test-share",
        type=float,
        default=0.2,
        help="final check: share for the test split where no splits exist yet, default 0.2",
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--unseen", action="append", default=[], metavar="LABEL", help="exclude a label from training")


def _add_gone(parser: Any) -> None:
    parser.add_argument(
        "--gone",
        choices=GONE_POLICIES,
        default="keep",
        help="what to do with products that are missing from the source",
    )


def _add_keeping(actions: Any, command: Callable[..., Any]) -> None:
    quality = _named(
        actions, command, "quality", "Measure the pictures; list flags, duplicates and leaks.", handlers.quality_of
    )
    quality.add_argument("--no-measure", action="store_true", help="only show existing measurements")
    splits = _named(actions, command, "splits", "Change the splits.", handlers.change_splits)
    splits.add_argument("action", choices=("redraw", "mend"), help="draw new splits, or move duplicates into one split")
    splits.add_argument("--exact", action="store_true", help="only merge identical pictures, not near duplicates")
    _add_splits(splits)
    restore = _named(
        actions, command, "restore", "Restore an earlier version as a new version.", handlers.restore_version
    )
    restore.add_argument("--version", type=int, required=True)
    restore.add_argument("--preview", action="store_true", help="only show what would change")
    tidy = _named(
        actions, command, "tidy", "Compact the files; remove files that no kept version needs.", handlers.tidy_up
    )
    tidy.add_argument("--no-compact", action="store_true", help="leave the files as they are")
    tidy.add_argument(
        "--vacuum", action="store_true", help="remove files of old versions; versions used by models are kept"
    )
    tidy.add_argument("--keep-days", type=float, default=30.0, help="keep versions younger than this, default 30")


def _named(actions: Any, command: Callable[..., Any], name: str, help_text: str, handler: Any) -> Any:
    parser = command(actions, name, help_text, handler)
    parser.add_argument("catalogue")
    return parser
