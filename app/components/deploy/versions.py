"""The registered versions: what the gate says, the card, and moving the aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import words
from app.components.jobs import panel
from app.components.search import publish_question
from app.components.shared import charts, model_picker
from app.services import common, deploy
from backend.errors.addresses import shown
from backend.flow.requests import PromoteRequest, RebuildRequest, RollbackRequest
from backend.registry.card import as_markdown, lineage
from backend.registry.ledger import CHALLENGER, CHAMPION

if TYPE_CHECKING:
    from backend.registry.ledger import Ledger, RegisteredVersion

_MOVES_SHOWN = 100
_VERDICTS = {True: "passed", False: "refused", None: "not run"}


def show() -> None:
    """Show the versions, newest first, and what can be done with the one that is chosen."""
    ledger = deploy.ledger()
    if not ledger.versions:
        st.info(
            "There are no registered versions here yet. Deploy a model above; to load versions that others "
            "registered, run `python -m backend models`.",
            icon=":material/rocket_launch:",
        )
        return
    charts.table([_row(one) for one in ledger.versions], key="versions")
    by_number = {str(one.version): one for one in ledger.versions}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.selectbox("Version", list(by_number), key="registered", bind="query-params", width=160)
        _show_rollback(ledger)
    chosen = by_number[number]
    _show_promotion(ledger, chosen)
    _show_card(ledger, chosen)
    _show_history(ledger)


def _verdict(version: RegisteredVersion) -> bool | None:
    return all(check.passed for check in version.checks) if version.checks else None


def _gate(version: RegisteredVersion) -> str:
    if version.refused:
        return "not trusted, not served"
    return _VERDICTS[_verdict(version)] + (", overridden" if version.reason else "")


def _row(version: RegisteredVersion) -> dict[str, str]:
    metrics = version.card.metrics if version.card else {}
    titles = {"test.precision_at_1": "Precision@1", "test.map_at_r": "MAP@R"}
    return {
        "Version": str(version.version),
        "Alias": ", ".join(version.aliases),
        "Gate": _gate(version),
        **{title: words.percent(metrics[name], digits=1) for name, title in titles.items() if name in metrics},
        "Model": version.model,
        "Registered": words.moment(version.registered_at),
    }


def _show_rollback(ledger: Ledger) -> None:
    earlier = ledger.previous(CHAMPION)
    pressed = st.button(
        f"Roll back to version {earlier:d}" if earlier else "Roll back",
        icon=":material/undo:",
        disabled=earlier is None,
        help="Serves the previous champion again, immediately and without the gate.",
    )
    if pressed:
        panel.submit(RollbackRequest())
        st.rerun()


def _show_promotion(ledger: Ledger, version: RegisteredVersion) -> None:
    """Show what the gate said, and let the user move an alias to the version, with a reason where one is needed."""
    if version.refused:
        st.warning(words.prose(version.refused), icon=":material/gpp_bad:")
        return
    if version.reason:
        st.caption(f":material/gavel: The gate was overridden: {words.plain(version.reason)}")
    for check in version.checks:
        icon = ":material/check:" if check.passed else ":material/block:"
        st.markdown(f"{icon} **{words.plain(check.name.capitalize())}**: {words.prose(check.says)}")
    if CHAMPION in version.aliases:
        st.caption("This version is being served.")
        again, _ = st.columns([1, 3])
        with again:
            _rebuild(version)
        return
    is_refused = _verdict(version) is False
    reason = _reason(version) if is_refused else ""
    with st.container(horizontal=True):
        promote = st.button(
            "Make it champion",
            type="primary",
            icon=":material/rocket_launch:",
            disabled=is_refused and not reason,
            help="The gate runs again; overriding it requires a written reason.",
        )
        challenge = st.button(
            "Make it challenger",
            icon=":material/swords:",
            disabled=version is ledger.at(CHALLENGER),
            help="It is not served; it is marked as the next candidate.",
        )
        _rebuild(version)
    topic = f"promote-{version.version}"
    if promote:
        request = PromoteRequest(version.version, CHAMPION, reason)
        publish_question.submit(topic, request, version.card.catalogue.name if version.card else "")
    publish_question.show(topic)
    if challenge:
        panel.submit(PromoteRequest(version.version, CHALLENGER))
        st.rerun()


def _reason(version: RegisteredVersion) -> str:
    return st.text_input(
        "Reason to promote it anyway",
        key=f"reason-{version.version}",
        placeholder="Kept with the version and in the history",
        max_chars=1000,
    ).strip()


def _rebuild(version: RegisteredVersion) -> None:
    pressed = st.button(
        "Rebuild",
        icon=":material/replay:",
        disabled=version.card is None,
        help="Retrains and re-indexes it from its card under a new name, and lists the differences.",
    )
    if pressed:
        panel.submit(RebuildRequest(version=version.version))
        st.rerun()


def _show_card(ledger: Ledger, version: RegisteredVersion) -> None:
    card = version.card
    if card is None:
        if not version.refused:
            st.info("This version has no readable card.", icon=":material/help:")
        return
    endpoint = shown(common.settings().effective_endpoint_url) if CHAMPION in version.aliases else ""
    with st.expander("Card", icon=":material/badge:", key="card"):
        charts.table([{"What": what, "Is": value} for what, value in lineage(card, endpoint=endpoint).items()])
        rows = [
            {
                "Figure": model_picker.METRIC_TITLES.get(name, name),
                "Mean": words.percent(value, digits=1),
                "95 % interval": f"{words.percent(low, digits=1)} to {words.percent(high, digits=1)}",
            }
            for name, (value, low, high) in card.rates.items()
        ]
        if rows:
            charts.table(rows)
        st.download_button(
            "Model card",
            data=as_markdown(card, name=ledger.name, version=version.version, endpoint=endpoint),
            file_name=f"{ledger.name}-{version.version}.md",
            mime="text/markdown",
            icon=":material/download:",
            on_click="ignore",
        )


def _show_history(ledger: Ledger) -> None:
    if not ledger.events:
        return
    with st.expander("History", icon=":material/history:", key="moves"):
        rows = [
            {
                "When": words.moment(event.at),
                "What": f"{event.alias.capitalize()} {'back ' if event.action == 'rollback' else ''}to version {event.version}",
                "From": "" if event.before is None else f"version {event.before}",
                "Reason": event.reason,
            }
            for event in ledger.events[:_MOVES_SHOWN]
        ]
        charts.table(rows)
