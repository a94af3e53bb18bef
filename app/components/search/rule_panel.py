"""Rules on the answer that is shown: the draft and its preview, what moved each result, and every rule that touches it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app.components.rules import draft_bar, links, state, titles
from app.components.search import state as question
from app.components.search.rule_menu import nearest_of
from app.services import common, rules, trials
from backend.errors import WorkbenchError
from backend.merchandising.merging import by_id, places_changed
from backend.retrieval.rules.rule import NAMED_BY
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import DRAFT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from app.components.search.query_panel import Query
    from app.state import Answered
    from backend.merchandising.draft import Draft
    from backend.retrieval.rules.rule import Rule
    from backend.retrieval.wishes import Wishes
    from backend.serving.client import Answer, AnswerNeighbour


@dataclass(frozen=True, slots=True)
class Ruled:
    """How rules are used on the page.

    Attributes:
        catalogue: Whose rules; empty where these are not on this machine, and the page says nothing of rules.
        mine: The draft of whoever edits; None without one.
        is_preview: Whether answers are made by the draft.
        revision: Tells one state of the rules from another.
        pinned: What the address asks for instead of the newest: ``off``, or the number of a version.
    """

    catalogue: str
    mine: Draft | None
    is_preview: bool
    revision: str
    pinned: str = ""

    def wishes(self, wishes: Wishes) -> Wishes:
        """Return the wishes with the rules that are to be used."""
        if self.pinned:
            return replace(wishes, rules=self.pinned)
        return replace(wishes, rules=f"{DRAFT}{self.mine.person}") if self.is_preview and self.mine else wishes

    def used(self, answer: Answer) -> dict[str, Rule]:
        """Return the rules that an answer was made by, by their ids."""
        if not self.catalogue or answer.rules is None:
            return {}
        if self.is_preview and self.mine:
            return by_id(rules.rules_of(self.catalogue, self.mine))
        return by_id(rules.published(self.catalogue, answer.rules.version).rules)


def current(catalogue: str) -> Ruled:
    """Return how rules are used now; damaged ones are said, and the page goes on without."""
    pinned = question.rules()
    if catalogue not in common.catalogues():
        return Ruled("", None, is_preview=False, revision="", pinned=pinned)
    try:
        mine = rules.draft(catalogue, state.person()) if state.person() else None
    except WorkbenchError as error:
        notices.show(error)
        return Ruled("", None, is_preview=False, revision="", pinned=pinned)
    is_preview = bool(mine) and draft_bar.previews() and not pinned
    return Ruled(catalogue, mine, is_preview, rules.revision(catalogue, mine if is_preview else None), pinned)


def show_draft(ruled: Ruled, answered: Answered, published: Callable[[], Answered]) -> None:
    """Show the draft, and with its preview how many of the results change.

    Args:
        ruled: How rules are used.
        answered: The answer on the page.
        published: Asks the same question by the published rules.
    """
    state.show_said()
    if not ruled.catalogue or not ruled.mine:
        return
    effect = ""
    if ruled.is_preview:
        wanted = RuleSet.of(rules.rules_of(ruled.catalogue, ruled.mine)).digest
        trials.require_made_by(answered.answer.rules.digest if answered.answer.rules else "", wanted)
        before, after = ([one.product_id for one in each.answer.neighbours] for each in (published(), answered))
        moved, of = places_changed(before, after), max(len(before), len(after))
        effect = f"{moved} of {words.count(of, 'result')} {'changes' if moved == 1 else 'change'}"
    draft_bar.show(ruled.catalogue, ruled.mine, effect=effect, can_preview=not ruled.pinned)


def moved(neighbour: AnswerNeighbour, used: dict[str, Rule]) -> str:
    """Say how rules changed the place of a result; empty where they did not."""
    if not neighbour.rules:
        return ""
    found = [titles.DONE[used[name].action] for name in neighbour.rules if name in used]
    why = ", ".join(dict.fromkeys(found)) or "by a rule"
    if neighbour.rank_before is None:
        return f"Added: {why}"
    if neighbour.rank_before == neighbour.rank:
        return f"Place unchanged: {why}"
    return f"Moved from {neighbour.rank_before} to {neighbour.rank}: {why}"


def show_touching(ruled: Ruled, query: Query, answer: Answer) -> None:
    """Show every rule for this answer, those that moved a result first, each with a link to edit it."""
    used = ruled.used(answer)
    effective = {name for one in answer.neighbours for name in one.rules}
    named = answer.rules.touching if answer.rules else None
    found = [
        rule
        for rule in used.values()
        if rule.id in effective or (_is_for(rule, query, answer) if named is None else _is_named(rule, named))
    ]
    if not found:
        return
    with st.expander(f"Rules that touch this answer ({len(found)})", icon=":material/rule:", key="touching"):
        for rule in sorted(found, key=lambda one: (one.id not in effective, one.rank)):
            links.show(ruled.catalogue, rule, "Moved a result of this answer" if rule.id in effective else "")


def _is_named(rule: Rule, named: Collection[str]) -> bool:
    """Tell whether the endpoint named a rule for an answer; those that are for every one it does not repeat."""
    return rule.id in named or (rule.scope.kind == "all" and rule.holds_at(titles.now()))


def _is_for(rule: Rule, query: Query, answer: Answer) -> bool:
    """Tell whether a rule is live and for this answer, for an endpoint of an earlier version, which does not say.

    Whether a rule for another photo that looks alike is for it, only the endpoint knows.
    """
    if not answer.neighbours or not rule.holds_at(titles.now()):
        return False
    nearest, scope = nearest_of(answer), rule.scope
    if scope.kind == "picture":
        return not query.product_id and rules.sha256_of(query.image) in scope.values
    if scope.kind in NAMED_BY:
        return getattr(nearest, scope.kind) in scope.values
    asked = {query.product_id} if scope.kind == "product" else {nearest.product_id}
    return scope.kind == "all" or bool(asked.intersection(scope.values))
