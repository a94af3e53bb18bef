"""What a checked load would do, and the decision: commit it, or discard it. Nothing is stored before that."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import identity, notices, words
from app.components.catalogue import quality_charts, rejected
from app.components.jobs import panel
from app.components.shared import charts
from app.services import catalogue, common
from app.words import plain, prose
from backend.catalogue.items import USES
from backend.flow.requests import CommitRequest, from_json
from backend.flow.roles import role_for

if TYPE_CHECKING:
    from app.services.catalogue import CheckedLoad
    from backend.catalogue.items import GonePolicy, IngestReport

GONE_TITLES: dict[GonePolicy, str] = {
    "keep": "Keep them",
    "mark": "Mark them as withdrawn",
    "delete": "Delete them",
}
GONE_CAPTIONS: dict[GonePolicy, str] = {
    "keep": "They stay in the catalogue unchanged.",
    "mark": "They stay in the catalogue, but no longer appear in results once the search is up to date.",
    "delete": "They are removed from the catalogue; older versions still contain them.",
}


def show_waiting() -> None:
    """Show every load that was checked and waits for a decision, the newest in full for as long as it is fresh."""
    for position, load in enumerate(catalogue.checked_loads()):
        ended_at = load.job.finished_at or load.job.created_at
        name, when, is_fresh = load.report.catalogue, words.ago(ended_at), time.time() - ended_at < panel.RECENT_S
        title = f"Checked {when}, not stored yet: {plain(load.report.source)} for the catalogue {plain(name)}"
        with st.expander(
            title, expanded=is_fresh and not position, icon=":material/fact_check:", key=f"report-{load.report.staged}"
        ):
            _show(load)


def _show(load: CheckedLoad) -> None:
    report = load.report
    _figures(report)
    _findings(report)
    left, right = st.columns([3, 2])
    with left:
        figure = quality_charts.label_bars(report.by_label)
        charts.show(figure, key=f"report-labels-{report.staged}", alt="Usable products per label")
    with right:
        _splits(report)
        _rejected(report)
    _decision(load)
    _rejected_rows(report)


def _figures(report: IngestReport) -> None:
    name, version = plain(report.catalogue), report.base_version
    st.caption(
        f"Compared with version {version} of {name}." if version else f"This would create the new catalogue {name}."
    )
    counts = report.counts
    with st.container(horizontal=True):
        st.metric("Usable", words.count(report.kept), border=True, help="Products that can be loaded.")
        st.metric("New", words.count(counts.new), border=True, help="Not in the catalogue yet.")
        st.metric("Changed", words.count(counts.changed), border=True, help="The picture or details have changed.")
        st.metric(
            "Unchanged", words.count(counts.unchanged), border=True, help="Already in the catalogue; not stored again."
        )
        st.metric("Gone", words.count(counts.gone), border=True, help="In the catalogue, but not in this source.")
        st.metric("Rejected", words.count(sum(report.rejected.values())), border=True, help="Cannot be used.")


def _findings(report: IngestReport) -> None:
    for note in report.notes:
        st.info(prose(note), icon=":material/info:")
    if report.duplicates:
        what = words.count(report.duplicates, "product has", "products have")
        st.info(f"{what} the same picture as another product.", icon=":material/content_copy:")
    if report.leaks:
        what = words.count(report.leaks, "picture is", "pictures are")
        st.warning(
            f"{what} used both for learning and for a check, or for both checks, which makes results look better than "
            "they are. After loading, the Quality view can give each picture a single use.",
            icon=":material/call_split:",
        )


def _splits(report: IngestReport) -> None:
    st.markdown("**Used for**", help=charts.USE_HELP)
    counts = {title: report.by_split.get(split, 0) for split, title in USES.items()}
    st.markdown("\n".join(f"- {title}: {count:,}" for title, count in counts.items() if count))


def _rejected(report: IngestReport) -> None:
    if not report.rejected:
        st.success("Every product can be used.", icon=":material/check:")
        return
    st.markdown("**Rejected**", help="These are set aside with the reason, so that you can correct and reload them.")
    ordered = sorted(report.rejected.items(), key=lambda item: -item[1])
    st.markdown("\n".join(f"- {plain(words.reason(code))}: {count:,}" for code, count in ordered))


def _rejected_rows(report: IngestReport) -> None:
    """List what cannot be used, so that it can be mended before anything is stored."""
    if report.rejected:
        st.markdown(f"**{words.count(sum(report.rejected.values()), 'rejected row')}**")
        fetch = partial(catalogue.staged_rejected, report.staged, report.rejected)
        with notices.guarded():
            rejected.show_rows(report.rejected, fetch, key=report.staged)
            packed = partial(catalogue.staged_zip, report.staged)
            rejected.mend(packed, report.catalogue, key=report.staged)


def _decision(load: CheckedLoad) -> None:
    report = load.report
    if _moved(report):
        st.warning(
            f"The catalogue {plain(report.catalogue)} has changed since this was checked. Check the source again.",
            icon=":material/update:",
        )
    gone, lacks = _gone(report), identity.lacking(role_for("commit"))
    is_off = lacks is not None
    if report.kept and not _does_anything(report):
        st.info(
            f"No changes since version {report.base_version}, so there is nothing to store.", icon=":material/check:"
        )
    with st.container(horizontal=True):
        if _moved(report):
            key = f"again-{report.staged}"
            if st.button(
                "Check again", type="primary", icon=":material/refresh:", disabled=is_off, help=lacks, key=key
            ):
                catalogue.discard(report.staged)
                panel.submit(from_json(load.job.kind, load.job.request))
                st.rerun()
        elif _does_anything(report) and st.button(
            f"Commit to {plain(report.catalogue)}",
            type="primary",
            icon=":material/check:",
            key=f"commit-{report.staged}",
            help=lacks or "Stores the products as a new version of the catalogue.",
            disabled=is_off,
        ):
            panel.submit(CommitRequest(staged=report.staged, gone=gone))
            st.rerun()
        key = f"discard-{report.staged}"
        if st.button("Discard", icon=":material/delete:", disabled=is_off, help=lacks, key=key):
            catalogue.discard(report.staged)
            st.rerun()


def _gone(report: IngestReport) -> GonePolicy:
    if not report.counts.gone:
        return "keep"
    policies = list(GONE_TITLES)
    chosen: GonePolicy = st.radio(
        f"{words.count(report.counts.gone, 'product')} of the catalogue are not in this source. What should happen to "
        "them?"
        if report.counts.gone > 1
        else "One product of the catalogue is not in this source. What should happen to it?",
        policies,
        format_func=GONE_TITLES.__getitem__,
        captions=[GONE_CAPTIONS[policy] for policy in policies],
        key=f"gone-{report.staged}",
    )
    return chosen


def _does_anything(report: IngestReport) -> bool:
    counts = report.counts
    return report.kept > 0 and bool(counts.new or counts.changed or counts.gone or report.rejected)


def _moved(report: IngestReport) -> bool:
    """Whether the catalogue is at another version than the one the load was compared with."""
    exists = report.catalogue in common.catalogues()
    now = common.snapshot(report.catalogue).version if exists else None
    return now != (report.base_version or None)
