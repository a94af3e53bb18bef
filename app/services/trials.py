"""What answers would be before anything is published: by a draft, by two sets of rules, or by two versions of the search."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.services import common, deploy, evaluation, photos, questions, rules
from backend.bundles import bundle
from backend.errors import CatalogueError, RetrievalError
from backend.merchandising.draft import Draft, Drafts
from backend.merchandising.kept_pictures import KeptPictures
from backend.merchandising.merging import places_changed
from backend.merchandising.questions.question_log import PHOTOS
from backend.registry.ledger import CHAMPION
from backend.retrieval.asked_again import Embedded, Ground, together
from backend.retrieval.gallery.gallery import Gallery
from backend.retrieval.indexes.further import with_further
from backend.retrieval.indexes.kinds import open_index
from backend.retrieval.rules.answering import RuledAnswers
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import DRAFT, RULES_OFF, RULES_ON, Wishes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.bundles.bundle import Manifest
    from backend.catalogue.items import Product
    from backend.retrieval.rules.rule import Rule
    from backend.serving.client import AnswerNeighbour

VERSIONS, ASKED = 50, 200  # versions of rules to choose from, and logged questions that are looked through


@dataclass(frozen=True, slots=True)
class Example:
    """A question that both sides answer: a product, or a picture with its filters and wishes."""

    name: str
    product_id: str = ""
    image: bytes = b""
    filters: dict[str, Any] = field(default_factory=dict)
    wishes: Wishes = field(default_factory=Wishes)


def rule_sets(catalogue: str, person: str) -> dict[str, str]:
    """What may be compared, as the endpoint takes it, and what it is called; the two that are compared first in front.

    The published rules are named by their version: by that, the log tells comparisons from what visitors asked.
    """
    newest = rules.store(catalogue).newest()
    named = {str(newest): f"Published rules (version {newest})"}
    if person and rules.draft(catalogue, person):
        named[f"{DRAFT}{person}"] = "My draft"
    named[RULES_OFF] = "No rules"
    return named | {str(one): f"Version {one}" for one in range(newest - 1, max(newest - VERSIONS, 0), -1)}


def by_rules(catalogue: str, example: Example, wanted: str, k: int, person: str) -> tuple[AnswerNeighbour, ...]:
    """The answer by a set of rules.

    Raises:
        EndpointError: It does not answer, or refuses the question.
        RetrievalError: It searches another catalogue.
    """
    mine = rules.draft(catalogue, person) if wanted.startswith(DRAFT) else None
    key = f"{example.product_id} {rules.sha256_of(example.image)} {example.filters} {example.wishes}"
    return _by_rules(catalogue, key, example, wanted, k, rules.revision(catalogue, mine))


@st.cache_data(ttl=60, max_entries=256, show_spinner=False)
def _by_rules(
    catalogue: str,
    key: str,  # noqa: ARG001 - of the example
    _example: Example,
    wanted: str,
    k: int,
    revision: str,  # noqa: ARG001 - of the rules
) -> tuple[AnswerNeighbour, ...]:
    liked = (_example.product_id,) if _example.product_id else _example.wishes.like
    wishes = replace(_example.wishes, rules=wanted, like=liked)
    answer = common.endpoint().recommend(_example.image, k=k, filters=_example.filters, wishes=wishes)
    if answer.catalogue != catalogue:
        raise RetrievalError(
            f"Results come from the catalogue {answer.catalogue}, not from {catalogue}.",
            next_step="Choose that catalogue, or publish this one.",
        )
    return answer.neighbours


# ------------------------------------------------------------------------------------------------- versions of the search


def searches(catalogue: str) -> dict[str, str]:
    """Models that answer about a catalogue, the one in use first, and what they are called."""
    ledger = deploy.ledger()
    versions = {one.model: one for one in reversed(ledger.versions)}
    found = [model for model in common.models() if model.index is not None and model.searched.name == catalogue]
    champion = ledger.at(CHAMPION)
    used = champion.model if champion is not None else ""
    named = {
        one.name: f"Version {versions[one.name].version}" if one.name in versions else f"Unpublished: {one.name}"
        for one in sorted(found, key=lambda one: one.name != used)
    }
    return named | ({used: f"{named[used]}, in use"} if used in named else {})


def by_search(name: str, product_id: str, k: int) -> list[Product]:
    """What a model answers about a product, without rules.

    Raises:
        BundleError: It was deleted meanwhile, or is damaged.
        RetrievalError: It does not know the product.
    """
    model = next((one for one in common.models() if one.name == name), None)
    if model is None:
        raise RetrievalError(f"{name} is not there any more.", next_step="Choose another version.")
    ground = _ground(name, model.files[bundle.VECTORS], model)
    wishes = Wishes(like=(product_id,)).settled(has_groups=ground.gallery.has_groups)
    nothing = np.empty((0, ground.own.dimensions), dtype=np.float32)
    located = together(Embedded(nothing, nothing), ground, k=k, wishes=wishes, allowed=None)
    ids = tuple(one.product_id for one in ground.gallery.items([one.position for one in located.shown]))
    known = evaluation.pictures(model.searched, ids)
    return [known[one] for one in ids if one in known]


@st.cache_resource(ttl=600, max_entries=2, show_spinner="Opening the version")
def _ground(name: str, sha256: str, _model: Manifest) -> Ground:  # noqa: ARG001 - keeps versions apart in the cache
    folder = common.settings().models_dir / name
    gallery, index = Gallery.load(folder), with_further(open_index(folder, _model), folder)
    return Ground(gallery, index, index, lambda: RuledAnswers(index, gallery, _model.pixels, None), None)


# ------------------------------------------------------------------------------------------------- examples


def approved(catalogue: str) -> list[Example]:
    """The approved examples."""
    return [Example(one.name, image=one.image) for one in deploy.golden_queries() if one.catalogue == catalogue]


def of_kind(catalogue: str, label: str, most: int) -> list[Example]:
    """Products of a kind."""
    version = common.snapshot(catalogue).version
    found, _ = common.products(catalogue, version, offset=0, limit=most, label=label, search="")
    return [Example(one.title or one.product_id, one.product_id) for one in found]


def last_asked(catalogue: str, most: int) -> tuple[list[Example], int]:
    """The last different questions whose picture is known, and how many others were passed over."""
    known = {**_pictured(catalogue, common.snapshot(catalogue).version)}
    found: dict[str, Example] = {}
    passed: set[str] = set()
    for row in questions.newest(catalogue, ASKED) if catalogue in questions.logged() else []:
        key = f"{row.question} {row.filters} {row.wishes}"
        wishes = replace(row.asked_wishes, rules_at=None)
        if wishes.rules != RULES_ON or key in found:
            continue
        image, product_id = b"", known.get(row.question, "")
        if not product_id and len(row.pictures) == 1:
            image = _photo(catalogue, row.question) or b""
        if len(row.pictures) > 1 or not (product_id or image or wishes.like):
            passed.add(key)
        elif len(found) < most:
            name = product_id or ", ".join(wishes.like) or f"Photo {row.question[:8]}"
            found[key] = Example(name, product_id, image, row.asked_filters, wishes)
    return list(found.values()), len(passed)


def _photo(catalogue: str, sha256: str) -> bytes | None:
    kept = photos.find(sha256)
    folder = common.settings().questions_dir / catalogue / PHOTOS
    return kept.image if kept else KeptPictures(folder).find(sha256)


@st.cache_data(ttl=600, max_entries=4, show_spinner=False)
def _pictured(catalogue: str, version: int) -> dict[str, str]:
    """Products by the hash of their picture."""
    try:
        rows = common.snapshot(catalogue, version).columns(["image_sha256", "product_id"], on_sale_only=True)
    except CatalogueError:
        return {}
    return dict(zip(*(rows[name].to_pylist() for name in ("image_sha256", "product_id")), strict=True))


# ------------------------------------------------------------------------------------------------- rules that are not saved


def moves(catalogue: str, before: Sequence[Rule], after: Sequence[Rule], image: bytes, k: int) -> tuple[int, int]:
    """Ask the endpoint about a picture by two sets of rules; returns how many places differ, and of how many.

    Raises:
        EndpointError: It does not answer, or refuses the picture.
        RetrievalError: It cannot see the rules of this machine.
    """
    one, other = (_tried(catalogue, RuleSet.of(each).digest, each, image, k) for each in (before, after))
    return places_changed(one, other), max(len(one), len(other))


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def _tried(catalogue: str, digest: str, _rules: Sequence[Rule], image: bytes, k: int) -> tuple[str, ...]:
    """Answer by rules that are nobody's draft, which are kept for this one question only."""
    drafts, base = Drafts(rules.store(catalogue)), rules.published(catalogue)
    trial = f"trial {secrets.token_hex(8)}"
    drafts.save(Draft(trial, base.version).of(_rules, base))
    try:
        answer = common.endpoint().recommend(image, k=k, wishes=Wishes(rules=f"{DRAFT}{trial}"))
    finally:
        drafts.discard(trial)
    require_made_by(answer.rules.digest if answer.rules else "", digest)
    return tuple(one.product_id for one in answer.neighbours)


def require_made_by(found: str, wanted: str) -> None:
    """Refuse an answer that was not made by these rules.

    Raises:
        RetrievalError: It was made by others: the endpoint has another home than this app.
    """
    if found != wanted:
        raise RetrievalError(
            "The preview is not possible: the search service does not see this draft.",
            next_step="Try again in a moment. If it stays so, ask your Twinset administrator.",
        )
