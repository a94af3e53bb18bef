"""What the endpoint says, as JSON values: the answer to a question, and what it was answered from."""

from __future__ import annotations

from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from backend.merchandising.questions.question import question_of
from backend.retrieval.object_region import suggested
from backend.serving.wire.records import NEIGHBOUR
from backend.serving.wire.shapes import encoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.merchandising.questions.question import Question as Logged
    from backend.retrieval.recommend import Neighbour, Recommendation
    from backend.retrieval.rules.compiled import CompiledRules
    from backend.serving.payload import Pictures, Question
    from backend.serving.served import Served

_SHOWN = tuple(name for name in NEIGHBOUR.names() if name != "image")
_shown = attrgetter(*_SHOWN)


def found(served: Served, pictures: Pictures, question: Question, rules: CompiledRules | None) -> Recommendation:
    """Answer a question."""
    return served.recommender.find(
        pictures.like,
        unlike=pictures.unlike,
        k=question.k,
        filters=question.filters,
        wishes=question.wishes,
        region=question.region,
        rules=rules,
    )


def recommended(
    served: Served, question: Question, answer: Recommendation, rules: CompiledRules | None
) -> dict[str, Any]:
    """Return an answer as it travels, but for the time it took in all."""
    return {
        "neighbours": [_neighbour(served, n, include_image=question.include_images) for n in answer.neighbours],
        "seen": encoded(answer.seen_png),
        "seen_others": [encoded(png) for png in answer.seen_others],
        "suggested_region": _suggested(served, question, answer),
        "notes": list(answer.notes),
        "match": answer.has_match,
        "model": model(served),
        **searched(served),
        "rules": rules and _rules(rules, answer),
        "timings_ms": dict(answer.timings_ms),
    }


def _rules(rules: CompiledRules, answer: Recommendation) -> dict[str, Any]:
    used = {"version": rules.version, "digest": rules.digest, "at": rules.at.isoformat()}
    return {**used, "touching": list(answer.touching)}


def logged(
    served: Served, pictures: Pictures, question: Question, answer: Recommendation, rules: CompiledRules | None
) -> Logged:
    """Return an answered question as the log keeps it, but for the time it took and who asked."""
    manifest = served.recommender.manifest
    return question_of(
        answer,
        (*pictures.like, *pictures.unlike),
        k=question.k,
        filters=question.filters,
        wishes=question.wishes,
        rules=rules,
        time=datetime.now(UTC),
        model=served.version.name,
        model_version=served.version.version,
        bundle=served.version.model,
        network=manifest.weights_hash,
        generation=manifest.index.generation if manifest.index is not None else 0,
        catalogue_version=manifest.searched.version,
        milliseconds=0.0,
        caller="",
    )


def _suggested(served: Served, question: Question, answer: Recommendation) -> Sequence[float] | None:
    if not question.suggest_region or question.region is not None:
        return None
    found = suggested(answer, served.recommender.embedder)
    return found.edges if found else None


def _neighbour(served: Served, neighbour: Neighbour, *, include_image: bool) -> dict[str, Any]:
    image = None
    if include_image:
        image = encoded(served.recommender.gallery.picture(neighbour.position, neighbour.picture_sha256))
    return {**dict(zip(_SHOWN, _shown(neighbour), strict=True)), "image": image}


def model(served: Served) -> dict[str, Any]:
    """Return which version answers."""
    v = served.version
    return {"name": v.name, "version": v.version, "alias": v.alias, "bundle": v.model}


def searched(served: Served) -> dict[str, Any]:
    """Return what is searched."""
    manifest = served.recommender.manifest
    catalogue = manifest.searched
    return {
        "catalogue": {"name": catalogue.name, "version": catalogue.version},
        "splits": list(manifest.index.splits if manifest.index is not None else ()),
        "gallery_size": served.recommender.size,
    }
