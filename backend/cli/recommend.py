"""The command ``recommend``: one photo or several, filters, and how the answer is to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import ImageRejected, RetrievalError, UsageError
from backend.imaging.refusals import FORMATS_READ
from backend.imaging.region import Region
from backend.retrieval.filters import COLLECTION, FILTERS, TEXT_FILTERS, check_filters
from backend.retrieval.wishes import COLLAPSES, RULES_ON, SORTS, Wishes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.serving.answers import Answer
    from backend.settings import Settings

Result = dict[str, Any]


def add_recommend(commands: Any, command: Callable[..., Any]) -> None:
    """Add the command; ``command`` makes one that has ``--json``."""
    found = command(commands, "recommend", "Find products that look like one or more photos.", recommend)
    found.add_argument("photo", nargs="+", help=f"{FORMATS_READ} files; several form one query")
    found.add_argument(
        "--region",
        default="",
        metavar="LEFT,TOP,RIGHT,BOTTOM",
        help="the part of the first photo to use, as fractions of its width and height, for example 0.1,0.2,0.9,0.8",
    )
    found.add_argument("-k", type=int, default=10, help="number of products, default 10")
    _add_wishes(found)
    found.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"only products with this value; NAME is one of {', '.join((*FILTERS, COLLECTION))}; repeatable",
    )


def _add_wishes(found: argparse.ArgumentParser) -> None:
    """Add how the answer is to be; :func:`_wishes` reads it."""
    found.add_argument(
        "--weight", type=float, action="append", default=[], help="weight of each photo, in their order; repeatable"
    )
    found.add_argument(
        "--like", action="append", default=[], metavar="ID", help="id of a product to search for as well; repeatable"
    )
    found.add_argument(
        "--unlike", action="append", default=[], metavar="ID", help="id of a product to move away from; repeatable"
    )
    found.add_argument(
        "--unlike-photo", action="append", default=[], metavar="FILE", help="a photo to move away from; repeatable"
    )
    found.add_argument(
        "--diversity", type=float, default=0.0, help="variety, from 0 (only the nearest) to 1, default 0"
    )
    found.add_argument(
        "--collapse", choices=COLLAPSES, default="auto", help="what to collapse into one result, default product groups"
    )
    found.add_argument("--sort", choices=SORTS, default=SORTS[0], help="order of the products, default by similarity")
    found.add_argument("--match-only", action="store_true", help="leave out products that are no match")
    found.add_argument(
        "--rules",
        default=RULES_ON,
        metavar="WHICH",
        help="rules that are applied: on (those published last, the default), off, or the number of a version",
    )
    found.add_argument(
        "--colour-weight",
        type=float,
        help="how much colour counts, from 0 (shape only) to 1 (colour only), default as the model has it",
    )


def recommend(options: argparse.Namespace, settings: Settings) -> Result:
    """``recommend``: ask the running endpoint, or one started for this question."""
    from backend.flow.demo import neighbours_as_json
    from backend.machine.supervisor import endpoint_running
    from backend.serving.answers import NOTHING_CLOSE
    from backend.serving.clients import local_client
    from backend.serving.further import Further

    first, *others = (_read(path) for path in options.photo)
    further = Further(tuple(others), tuple(_read(path) for path in options.unlike_photo))
    filters, wishes, region = filters_of(options.filter), _wishes(options), region_of(options.region)
    with endpoint_running(settings):
        answer = local_client(settings).recommend(
            first,
            k=options.k,
            filters=filters,
            wishes=wishes,
            further=further if further != Further() else None,
            region=region,
        )
    return {
        "photo": options.photo[0] if len(options.photo) == 1 else list(options.photo),
        "neighbours": neighbours_as_json(answer),
        "match": answer.match,
        "notes": [*answer.notes, *([NOTHING_CLOSE] if answer.has_nothing_close else [])],
        "model": answer.model_name,
        "model_version": answer.model_version,
        "catalogue": answer.catalogue,
        "catalogue_version": answer.catalogue_version,
        "rules_version": answer.rules.version if answer.rules else None,
        "behind": _behind(answer, settings),
        "timings_ms": answer.timings_ms,
    }


def _wishes(options: argparse.Namespace) -> Wishes:
    return Wishes(
        weights=tuple(options.weight),
        like=tuple(options.like),
        unlike=tuple(options.unlike),
        diversity=options.diversity,
        collapse=options.collapse,
        colour_weight=options.colour_weight,
        sort=options.sort,
        match_only=options.match_only,
        rules=options.rules,
    )


def _behind(answer: Answer, settings: Settings) -> str:
    """Say how far the answer is behind the catalogue; empty where it is not, or the catalogue is elsewhere."""
    from backend.bundles.bundle import CatalogueRef
    from backend.retrieval.freshness import behind

    searched = CatalogueRef(answer.catalogue, answer.catalogue_version)
    found = behind(settings.catalogues_dir, searched, splits=answer.splits)
    return found.text if found is not None and found.is_behind else ""


def filters_of(pairs: list[str]) -> dict[str, Any]:
    """Parse ``NAME=VALUE`` pairs; a text filter may be given several times.

    Raises:
        UsageError: A pair has no ``=``, names no filter, or its value cannot be used.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--filter {pair} has no value.", next_step="Write it as --filter colour=red.")
        if name in {*TEXT_FILTERS, COLLECTION}:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    collections = found.pop(COLLECTION, None)
    try:
        return check_filters(found) | ({COLLECTION: tuple(collections)} if collections else {})
    except RetrievalError as error:
        raise UsageError(error.message, next_step=error.next_step) from error


def region_of(text: str) -> Region | None:
    """Parse the part of a photo; None where none is given.

    Raises:
        UsageError: It is none.
    """
    try:
        return Region.read(text)
    except ImageRejected as error:
        step = "Write it as --region 0.1,0.2,0.9,0.8: left, top, right and bottom, each from 0 to 1."
        raise UsageError(f"--region {text} is not a part of a photo.", next_step=step) from error


def _read(path: str) -> bytes:
    if not Path(path).is_file():
        raise ImageRejected(f"There is no file {path}.", code="not_found", next_step="Check the path.")
    return Path(path).read_bytes()
