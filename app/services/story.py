"""What the Story page asks. Nothing that is asked here changes anything: a pin is tried on an answer that is here already."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app.services import common, evaluation, rules
from backend.errors import CatalogueError
from backend.merchandising.merging import by_id
from backend.merchandising.similar.source import Source
from backend.merchandising.substitutes.readiness import sold_out_readiness
from backend.merchandising.substitutes.shelf import shelf_at
from backend.merchandising.substitutes.twins import Comparing, Limits, Seeds
from backend.progress import NullProgress
from backend.retrieval.closeness import SAME_PICTURE
from backend.retrieval.rules.order import Candidate, Effects, Pin, ordered
from backend.retrieval.rules.rule import PINS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.services.common import Serving
    from backend.catalogue.items import Product
    from backend.evaluation.report import ScoreRow
    from backend.serving.client import Answer, AnswerNeighbour
    from backend.settings import Settings

SHOWN = 8  # products of an answer: two rows on a projector
EXAMPLES, _LOOKED_AT = 6, 300
_STRANGE_SHOWN = 4
_PRICE = 15.0  # percent that the price of a twin may differ by
_DRAWN, _SEED = 5_000, 7  # products at most that a twin is looked for of, so that acts stay quick meanwhile
_VISITOR = (-1_000_000, "")  # rank of the visitor's pin: above every published one


@dataclass(frozen=True, slots=True)
class Figure:
    """How many of some products are as it says, and the version of the catalogue in which they were counted."""

    number: int
    of: int
    says: str
    version: int


@st.cache_data(ttl=600, max_entries=4, show_spinner=False)
def examples(served: Serving) -> list[Product]:
    """Return products with a close match, of different labels, that were not learnt from; none from another machine."""
    try:
        if not _is_here(served):
            return common.examples(served.catalogue.name, served.catalogue.version, EXAMPLES)
        source = Source.open(common.settings().models_dir / served.model)
        chosen = source.ids.take(_showable(source)).to_pylist()
        return common.snapshot(served.catalogue.name, served.catalogue.version).products(chosen)
    except CatalogueError:
        return []


def _showable(source: Source) -> list[int]:
    unlearnt = np.flatnonzero(source.gallery.splits == "test")
    rows = unlearnt if len(unlearnt) >= EXAMPLES else np.arange(source.gallery.size)
    rows = np.random.default_rng(_SEED).permutation(rows)[:_LOOKED_AT]
    found = source.index.search(source.index.embeddings(rows), k=2)
    order = np.lexsort((found.distances[:, -1], found.distances[:, -1] < 1.0 - SAME_PICTURE))
    nearest_first = rows[order].tolist()
    labels = source.gallery.codes("label")[1]
    by_label = {int(labels[row]): row for row in reversed(nearest_first)}
    spread = [row for row in nearest_first if row in by_label.values()]
    return [*spread, *(row for row in nearest_first if row not in spread)][:EXAMPLES]


def answer(image: bytes, *, without: str = "") -> Answer:
    """Ask for the products that look like a picture; the product that it shows is left out.

    Raises:
        EndpointError: It could not answer, or refused the picture.
    """
    found = common.endpoint().recommend(image, k=SHOWN + bool(without))
    others = [one for one in found.neighbours if one.product_id != without][:SHOWN]
    return replace(found, neighbours=_ranked(others))


@st.cache_data(ttl=600, max_entries=16, show_spinner=False)
def answer_to_strange(image: bytes, served: Serving) -> Answer:  # noqa: ARG001 - a part of the cache's key
    """Ask about a picture of something that is not sold; once only, so that the log of questions does not fill with it.

    Raises:
        EndpointError: It could not answer.
    """
    return common.endpoint().recommend(image, k=_STRANGE_SHOWN)


def pinned(found: Answer, product_id: str) -> tuple[AnswerNeighbour, ...]:
    """Return the products of an answer as they would be with one of them pinned to the first place."""
    before = found.neighbours
    candidates = [Candidate(place, -float(place)) for place in range(len(before))]  # in the order that they have
    mine = next(place for place, one in enumerate(before) if one.product_id == product_id)
    pins = [*_published_pins(found), Pin("story", mine, 1, rank=_VISITOR)]
    after = ordered(candidates, Effects(pins=pins), k=len(before))
    return _ranked([before[one.position] for one in after])


def _published_pins(found: Answer) -> list[Pin]:
    """Return the pins that the answer has already: what they hold stays where it is."""
    if found.rules is None or found.catalogue not in common.catalogues():
        return []
    used = by_id(rules.published(found.catalogue, found.rules.version).rules)
    return [
        Pin(name, place, place + 1, rank=used[name].rank)
        for place, one in enumerate(found.neighbours)
        for name in one.rules
        if name in used and used[name].action in PINS
    ]


def _ranked(found: Sequence[AnswerNeighbour]) -> tuple[AnswerNeighbour, ...]:
    return tuple(replace(one, rank=rank) for rank, one in enumerate(found, 1))


def measured(served: Serving) -> ScoreRow | None:
    """Return how often answers were right when that was measured; None where it was not, or not of what is searched now.

    Raises:
        EvaluationError: The report is damaged.
    """
    model = next((one for one in common.models() if one.name == served.model), None)
    report = evaluation.report(model) if model is not None else None
    if model is None or report is None or evaluation.is_of_another_model(model, report):
        return None
    return report.model_row


def counting(served: Serving) -> Future[Figure] | None:
    """Return the figure of the end, which is counted in the background; None where the products are on another machine."""
    if not _is_here(served):
        return None
    newest = common.snapshot(served.catalogue.name).version
    return _counting(served.model, served.catalogue.version, newest)


def _is_here(served: Serving) -> bool:
    return served.model in {one.name for one in common.models()} and served.catalogue.name in common.catalogues()


@st.cache_resource(ttl=600, max_entries=4, show_spinner=False)
def _counting(model: str, searched: int, newest: int) -> Future[Figure]:  # noqa: ARG001 - parts of the cache's key
    with_one_thread = ThreadPoolExecutor(1, thread_name_prefix="story")
    found = with_one_thread.submit(_counted, common.settings(), model)
    with_one_thread.shutdown(wait=False)
    return found


def _counted(settings: Settings, model: str) -> Figure:
    """Count sold-out products with a twin in stock; where none is sold out, all products with a twin."""
    source = Source.open(settings.models_dir / model)
    shelf = shelf_at(source, settings.catalogues_dir)
    if shelf.is_sold_out.any():
        limits = Limits(price=_PRICE if not np.isnan(shelf.prices).all() else None)
        ready = sold_out_readiness(source, shelf, NullProgress(), limits=limits)
        number, of = ready.sold_out.with_twin, ready.sold_out.products
        return Figure(number, of, ready.sentence.removeprefix(f"{number:,} of {of:,} "), shelf.version)
    offered = np.flatnonzero(shelf.is_offered)
    drawn = np.sort(np.random.default_rng(_SEED).permutation(offered)[:_DRAWN])
    found = Comparing(source, shelf, Limits(price=None)).twins(Seeds.at(source, drawn), 1, NullProgress())
    says = "products, drawn at random, have a twin" if len(drawn) < len(offered) else "products have a twin"
    return Figure(
        int(found.has_twin.sum()), len(drawn), f"{says}: a close match that could take their place", shelf.version
    )
