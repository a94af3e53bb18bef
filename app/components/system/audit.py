"""Who did what: the audit, filtered and page by page, and as a file."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import notices, state, words
from app.components.shared import charts, download
from app.services.upkeep import audit
from backend.access.person import Role
from backend.access.use_case import DONE, REFUSED
from backend.jobs.audit_table import FAILED, Wanted

if TYPE_CHECKING:
    from backend.access.audit import AuditRow
    from backend.jobs.audit_table import Form

TITLE = "Who did what"
_PAGE = 50
_RESULTS = {"": "Any", DONE: "Done", REFUSED: "Refused", FAILED: "Failed"}
_WAYS = {"app": "App", "command": "Command line", "endpoint": "Endpoint", "job": "Job"}
_FILES: dict[Form, tuple[str, str]] = {
    "csv": ("Download CSV", "text/csv"),
    "jsonl": ("Download JSON lines", "application/jsonl"),
}


def show() -> None:
    """Show who did what, to administrators."""
    with notices.guarded():
        wanted = _filters()
        pager = f"audit_page_{hash(wanted)}"
        found = audit.page(wanted, _PAGE, (state.page(pager) - 1) * _PAGE)
        if not found.total:
            why = "No action matches." if wanted != Wanted() else "Nothing was done yet that is written down."
            st.info(why, icon=":material/manage_search:")
            return
        st.caption(f"{words.count(found.total, 'action', 'actions')}, the newest first.")
        charts.table([_row(one) for one in found.rows], key="audit_rows")
        st.pagination(math.ceil(found.total / _PAGE), key=pager)
        with st.container(horizontal=True):
            for form, (title, mime) in _FILES.items():
                make = partial(audit.file_of, wanted, form)
                name, key = f"twinset-audit.{form}", f"audit_file_{form}"
                download.show(title, make, name, mime, key=key, role=Role.ADMIN)


def _filters() -> Wanted:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        person = st.text_input("Person", key="audit_person", placeholder="Any", width=200)
        action = st.text_input("Action", key="audit_action", placeholder="Any, e.g. rules", width=200)
        result = st.selectbox("Result", list(_RESULTS), format_func=_RESULTS.__getitem__, key="audit_result", width=140)
        since = st.date_input("From", None, key="audit_since", width=160)
        until = st.date_input("To", None, key="audit_until", width=160)
    return Wanted(person.strip(), action.strip(), result, _start_of(since), _start_of(until, days=1))


def _start_of(day: date | None, *, days: int = 0) -> datetime | None:
    """Return when a day begins here, or one some days later."""
    return None if day is None else datetime.combine(day + timedelta(days=days), time()).astimezone()


def _row(one: AuditRow) -> dict[str, Any]:
    return {
        "When": f"{one.at.astimezone():%-d %b %Y, %H:%M:%S}",
        "Who": one.person,
        "Role": one.role.capitalize() or "None",
        "Action": one.action,
        "On what": one.about,
        "Result": _RESULTS.get(one.result, one.result),
        "From": " · ".join(part for part in (_WAYS.get(one.way, one.way), one.address) if part),
        "Row": one.number,
    }
