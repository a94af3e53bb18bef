"""What rules would change before anybody publishes them: the endpoint answers by a draft that exists for one question."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import streamlit as st

from app.services import common, rules
from backend.errors import RetrievalError
from backend.merchandising.draft import Draft, Drafts
from backend.merchandising.merging import places_changed
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import DRAFT, Wishes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.retrieval.rules.rule import Rule


def moves(catalogue: str, before: Sequence[Rule], after: Sequence[Rule], image: bytes, k: int) -> tuple[int, int]:
    """Ask the endpoint about a picture by two sets of rules; returns how many places differ, and of how many.

    Raises:
        EndpointError: It does not answer, or refuses the picture.
        RetrievalError: It cannot see the rules of this machine.
    """
    one, other = (_answered(catalogue, RuleSet.of(each).digest, each, image, k) for each in (before, after))
    return places_changed(one, other), max(len(one), len(other))


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def _answered(catalogue: str, digest: str, _rules: Sequence[Rule], image: bytes, k: int) -> tuple[str, ...]:
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
