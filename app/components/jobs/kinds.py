"""What users read of every kind of job, in one table: its title, what came of it, and where to go next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from app.components.catalogue import results
from app.components.jobs import model_results
from app.components.substitutes import wording
from app.components.tune import words as tune_words

if TYPE_CHECKING:
    from collections.abc import Callable


class Next(NamedTuple):
    """The page that comes next, what the link says, which part of the result it opens with, and in which view."""

    page: str
    label: str
    subject: str = ""
    view: str = ""


class JobWords(NamedTuple):
    """How a kind of job is shown.

    Attributes:
        title: What it does.
        tells: Says what it brought, in a few sentences.
        field: One that its result has; a result without it is another's.
        next: Where to go when it is done.
    """

    title: str
    tells: Callable[[dict[str, Any]], list[str]]
    field: str
    next: Next | None


CHECKING = "Checking products"  # what loading does until somebody decides
REVIEW = Next("catalogue", "Review it and decide", "catalogue")
_LEARN = Next("train", "Next: learn from it", "catalogue")
_FIND = Next("recommend", "Next: find similar products")
KINDS = {
    "catalogue": JobWords("Loading products", results.loaded, "counts", _LEARN),
    "fetch": JobWords(
        "Fetching pictures", results.fetched, "hosts", Next("catalogue", "Next: check and load the products")
    ),
    "export": JobWords("Correcting a table", results.exported, "left_out", None),
    "renew": JobWords("Loading products again", results.renewed, "catalogue", _LEARN),
    "commit": JobWords("Storing checked products", results.loaded, "counts", _LEARN),
    "quality": JobWords(
        "Measuring pictures",
        results.measured,
        "measured",
        Next("catalogue", "See what was found", "catalogue", "Quality"),
    ),
    "splits": JobWords(
        "Reassigning product uses",
        results.resplit,
        "moved",
        Next("catalogue", "See the new uses", "catalogue", "Labels"),
    ),
    "restore": JobWords(
        "Restoring a version", results.restored, "restored", Next("catalogue", "See the catalogue", "catalogue")
    ),
    "tidy": JobWords(
        "Tidying up", results.tidied, "catalogue", Next("catalogue", "See its versions", "catalogue", "History")
    ),
    "train": JobWords(
        "Training", model_results.trained, "metrics", Next("deploy", "Next: build its index and deploy it", "model")
    ),
    "tune": JobWords("Sweep", tune_words.result, "best_trial", Next("tune", "See its trials", "sweep", "Trials")),
    "index": JobWords(
        "Building the index",
        model_results.indexed,
        "gallery_size",
        Next("evaluate", "Next: see how good its answers are", "model"),
    ),
    "ready_made": JobWords(
        "Preparing to find similar products",
        results.searchable,
        "products",
        Next("recommend", "Find similar products", "product"),
    ),
    "refresh": JobWords(
        "Bringing the index up to date",
        model_results.refreshed,
        "from_version",
        Next("recommend", "Find similar products"),
    ),
    "similar": JobWords(
        "Listing similar products",
        results.listed,
        "searched",
        Next("catalogue", "Download the list", "catalogue"),
    ),
    "substitutes": JobWords(
        "Finding substitutes", wording.found, "with_twin", Next("substitutes", "Check the substitutes")
    ),
    "readiness": JobWords("Measuring readiness", wording.ready, "sold_out", Next("substitutes", "See the readiness")),
    "fidelity": JobWords(
        "Measuring the search", model_results.measured, "fidelity", Next("deploy", "See the figures", "model")
    ),
    "evaluate": JobWords("Evaluating", model_results.evaluated, "metrics", Next("deploy", "Next: deploy it", "model")),
    "project": JobWords("Drawing a map", model_results.drawn, "products", Next("explore", "See the map", "model")),
    "simulate": JobWords("Trying rules on questions", results.simulated, "answers_changed", None),
    "deploy": JobWords("Deploying", model_results.moved, "alias", _FIND),
    "promote": JobWords("Moving an alias", model_results.moved, "alias", _FIND),
    "rollback": JobWords("Rolling back", model_results.moved, "alias", _FIND),
    "rebuild": JobWords(
        "Rebuilding", model_results.rebuilt, "same_network", Next("evaluate", "See how good its answers are", "model")
    ),
    "delete": JobWords("Deleting", model_results.deleted, "freed_bytes", None),
    "demo": JobWords("Running the demo", model_results.whole_path, "rows_ingested", _FIND),
}
