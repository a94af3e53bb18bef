"""What is done with logged questions: rules tried on them, and every answer reproduced."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from backend.errors import CatalogueError, RetrievalError
from backend.progress import Span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.flow.requests import SimulateRequest
    from backend.merchandising.questions.question import Question
    from backend.merchandising.questions.simulation import Trial
    from backend.merchandising.rule_store import RuleStore
    from backend.progress import Progress
    from backend.retrieval.recommend import Recommender
    from backend.retrieval.rules.rule_set import RuleSet
    from backend.settings import Settings

_GOLDEN_AT_ONCE = 16


def simulate_step(request: SimulateRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Try rules on the approved examples and the last logged questions, with the model that the endpoint answers with."""
    from backend.merchandising.compiling import compiled
    from backend.merchandising.questions.simulation import simulate
    from backend.merchandising.rule_store import RuleStore
    from backend.registry.fetching import fetch_champion

    progress.report(0, 100, unit="%", note="Loading the model")
    recommender = _loaded(fetch_champion(settings)[1], settings)
    store = RuleStore(settings.rules_dir, recommender.manifest.searched.name)
    now, then = store.read(), _wanted(request, store)
    reading, trying = Span.split(progress, [("", 1), ("", 9)])
    trials = [*_approved(recommender, settings, store.catalogue, reading)]
    trials += _logged(recommender, settings, store.catalogue, request.limit)

    def make(rules: RuleSet) -> Any:
        return compiled(rules, store, recommender)

    found = simulate(trials, recommender, now, then, make, trying)
    return {"catalogue": store.catalogue, "version": now.version, "model": recommender.manifest.name, **found.as_dict()}


def _wanted(request: SimulateRequest, store: RuleStore) -> RuleSet:
    """Return the rules to try.

    Raises:
        RetrievalError: There is no such draft, or a rule cannot be used.
        CatalogueNotFound: There is no such version.
    """
    from backend.merchandising.draft import Drafts
    from backend.retrieval.rules.rule_set import RuleSet, from_plain

    if request.rules is not None:
        return RuleSet.of(from_plain(rule) for rule in request.rules)
    if request.version is not None:
        return store.read(request.version)
    draft = Drafts(store).open(request.draft)
    if not draft.saved_at:
        raise RetrievalError(
            f"There is no draft of {request.draft or 'an unnamed person'}.",
            next_step="Change a rule first, or try a version or a file of rules.",
        )
    return RuleSet.of(draft.rules(store.read(draft.base)), version=draft.base)


def _approved(recommender: Recommender, settings: Settings, catalogue: str, progress: Progress) -> Iterator[Trial]:
    from backend.merchandising.questions.simulation import Trial
    from backend.registry.golden import golden_queries
    from backend.retrieval.wishes import Wishes

    queries = golden_queries(settings.home, catalogue)
    for start in range(0, len(queries), _GOLDEN_AT_ONCE):
        progress.report(start, len(queries), note="Reading approved examples")
        progress.check_cancelled()
        some = queries[start : start + _GOLDEN_AT_ONCE]
        answers = recommender.recommend([query.image for query in some], k=max(query.k for query in some))
        for query, answer in zip(some, answers, strict=True):
            if answer.embedded is not None:
                yield Trial(query.name, "approved", answer.embedded, query.k, {}, Wishes())


def _logged(recommender: Recommender, settings: Settings, catalogue: str, limit: int) -> list[Trial]:
    """Return the last questions that this network was asked; those about drafts were the editor's own."""
    import pyarrow.compute as pc

    from backend.merchandising.questions.question_store import QuestionStore
    from backend.merchandising.questions.simulation import Trial

    store = QuestionStore(settings.questions_dir, catalogue)
    rows = store.newest(limit, only=pc.field("network") == recommender.manifest.weights_hash)
    return [Trial.of(row) for row in rows if not row.is_of_a_draft]


def verify_questions(settings: Settings, catalogue: str, limit: int, progress: Progress) -> dict[str, Any]:
    """Answer the last logged questions again, each by the registered version and the rules that it names.

    Raises:
        CatalogueError: Nothing was logged for this catalogue.
        RegistryError: A version of the model is not there any more.
        Cancelled: The user asked to stop.
    """
    from backend.merchandising.questions.question_store import QuestionStore
    from backend.merchandising.questions.verifying import Verified, verify
    from backend.merchandising.rule_store import RuleStore
    from backend.registry.fetching import fetch_version

    rows = QuestionStore(settings.questions_dir, catalogue).newest(limit)
    if not rows:
        raise CatalogueError(
            f"No question about {catalogue} was logged.",
            next_step="Questions are logged while TWINSET_KEEP_QUESTIONS_DAYS is above 0 and the endpoint answers some.",
        )
    found, rules = Verified(), RuleStore(settings.rules_dir, catalogue)
    versions = groupby(sorted(rows, key=_by_version), key=lambda row: row.model_version)
    for version, some in versions:
        found.add(verify(list(some), _loaded(fetch_version(settings, version), settings), rules, progress))
    return {"catalogue": catalogue, **found.as_dict()}


def _by_version(row: Question) -> tuple[int, str, str]:
    """Order questions so that each model, and each set of rules, is loaded once."""
    return row.model_version, row.rules_digest or "", "" if row.rules_at is None else row.rules_at.isoformat()


def _loaded(folder: Path, settings: Settings) -> Recommender:
    from backend.retrieval.recommend import Recommender
    from backend.serving.served import serving_threads
    from backend.training.embedder import load_query_embedder

    threads = serving_threads(settings)  # with another number, sums have other last bits
    return Recommender.load(
        folder, embedder_loader=load_query_embedder, max_pixels=settings.max_pixels, threads=threads
    )
