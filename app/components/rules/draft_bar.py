"""Somebody's draft: what it changes, and its way to shoppers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app import state as session
from app.components.jobs import panel
from app.components.rules import state
from app.services import rules
from app.words import plain, prose
from backend.flow.requests import SimulateRequest
from backend.merchandising.merging import by_id
from backend.merchandising.wording import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.merchandising.conflicts import Conflict
    from backend.merchandising.draft import Draft

_KEY, _NOTE = "draft_bar", "publish_note"
_SHOWN = 8  # problems, and changes, that are written out


def show(catalogue: str, mine: Draft, *, effect: str = "", can_preview: bool = False) -> None:
    """Show a draft that has changes, with what it does to the answer on the page, and let it be published or dropped."""
    if not mine:
        return
    with st.container(border=True, key=_KEY):
        both = rules.torn(catalogue, mine)
        count = len(mine.put) + len(mine.removed)
        with st.container(horizontal=True, vertical_alignment="center"):
            text = f"**{words.count(count, 'change')} in your draft**"
            st.markdown(f"{text} · {plain(effect)}" if effect else text, width="content")
            if can_preview:
                st.toggle("Preview", key="preview", help="Show answers as they would be. Shoppers see no difference.")
            st.button(
                "Simulate",
                icon=":material/science:",
                key="simulate",
                help="Answers the approved examples and the last 2,000 questions with this draft, and says what would change.",
                on_click=_simulate,
                args=(mine.person,),
            )
            _show_publish(catalogue, mine, is_torn=bool(both))
            show_discard(catalogue, mine.person)
        with st.expander("Changes in this draft", key="draft_changes"):
            show_changes(catalogue, mine)
        if both:
            _show_torn(catalogue, mine, both)
        panel.show_latest("simulate", page="rules")


def show_discard(catalogue: str, person: str) -> None:
    """Let a draft be dropped."""
    with st.popover("Discard", icon=":material/delete:"):
        st.caption("All changes of this draft are removed. Published rules stay.")
        st.button("Discard the draft", key="draft_discard", on_click=_discard, args=(catalogue, person))


def previews() -> bool:
    """Whether answers are to be made by the draft."""
    return bool(st.session_state.get("preview"))


def show_problems(found: Sequence[Conflict]) -> None:
    """Show what is wrong with rules, what is refused first."""
    for one in found[:_SHOWN]:
        show_one = st.error if one.severity == "refused" else st.warning
        show_one(prose(one.sentence), icon=":material/block:" if one.severity == "refused" else ":material/warning:")
    if len(found) > _SHOWN:
        st.caption(f"And {words.count(len(found) - _SHOWN, 'more conflict')}.")


def show_changes(catalogue: str, mine: Draft) -> None:
    """Show what publishing a draft would add, change and remove."""
    base = rules.published(catalogue, mine.base)
    old, new = by_id(base.rules), by_id(mine.put)
    lines = [f":material/add: {plain(said(new[name]))}" for name in new if name not in old]
    lines += [
        f":material/edit: {plain(said(old[name]))} → {plain(said(new[name]))}"
        if said(old[name]) != said(new[name])
        else f":material/edit: {plain(said(new[name]))} (notes or priority)"
        for name in new
        if name in old
    ]
    lines += [f":material/delete: {plain(said(old[name]))}" for name in mine.removed if name in old]
    for line in lines[: 5 * _SHOWN]:
        st.markdown(line)
    if len(lines) > 5 * _SHOWN:
        st.caption(f"And {words.count(len(lines) - 5 * _SHOWN, 'more change')}.")


def _show_publish(catalogue: str, mine: Draft, *, is_torn: bool) -> None:
    with st.popover("Publish", icon=":material/publish:", disabled=is_torn), notices.guarded():
        found = rules.problems(catalogue, rules.rules_of(catalogue, mine))
        about = {*(rule.id for rule in mine.put), *mine.removed}
        show_problems([one for one in found if one.severity == "refused" or about.intersection(one.rules)])
        st.text_input("Note", key=_NOTE, placeholder="Why, for the history", max_chars=300)
        is_refused = any(one.severity == "refused" for one in found)
        st.button(
            "Publish now",
            type="primary",
            key="publish_now",
            disabled=is_refused,
            on_click=_publish,
            args=(catalogue, mine),
        )


def _simulate(person: str) -> None:
    with notices.guarded():
        panel.submit(SimulateRequest(draft=person))


def _publish(catalogue: str, mine: Draft) -> None:
    """Publish the draft as it was shown; one that another window changed since then is refused."""
    with notices.guarded(), st.spinner("Publishing"):
        done, is_up = rules.publish(catalogue, mine, str(session.chosen(_NOTE) or "").strip())
        told(done.version, is_up=is_up)
        st.session_state.pop("preview", None)
        st.session_state.pop(_NOTE, None)


def told(version: int, *, is_up: bool) -> None:
    """Have the next run say that rules were published."""
    after = "Answers use it now." if is_up else "Answers use it as soon as the search service runs with this catalogue."
    state.say(f"Version {version} is published. {after}")


def _discard(catalogue: str, person: str) -> None:
    with notices.guarded():
        rules.discard(catalogue, person)
        st.session_state.pop("preview", None)


def _show_torn(catalogue: str, mine: Draft, both: Sequence[str]) -> None:
    """Show rules that another person changed, too, and let one of both versions be kept."""
    theirs, own = by_id(rules.published(catalogue).rules), by_id(rules.rules_of(catalogue, mine))
    who = rules.published(catalogue).by
    by = f" by {who}" if who else " by another person"
    st.warning(
        prose(f"These rules were also changed{by}. Nothing is lost: choose which to keep."), icon=":material/group:"
    )
    for name in both[:_SHOWN]:
        texts = [plain(said(one[name])) if name in one else "removed" for one in (own, theirs)]
        st.markdown(f"**{plain(name)}**  \nYours: {texts[0]}  \nPublished: {texts[1]}")
    with st.container(horizontal=True):
        for label, keep in (("Keep mine", True), ("Use the published ones", False)):
            st.button(label, key=f"settle_{keep:d}", on_click=_settle, args=(catalogue, mine, keep))


def _settle(catalogue: str, mine: Draft, keep: bool) -> None:  # noqa: FBT001 - handed on by a button
    with notices.guarded():
        rules.settle(catalogue, mine, keep_mine=keep)
