"""Pictures at web addresses, before a check: how many on which hosts, fetching them, and why some could not be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import words
from app.components.jobs import panel
from app.components.loading import placeholders
from app.services import fetching
from app.words import plain
from backend.flow.requests import FetchRequest

if TYPE_CHECKING:
    from app.components.loading.preview import Reading
    from app.state import Source

OFF = "Pictures on the web are not fetched here. Ask your Twinset administrator to allow the hosts of your pictures, or load a zip with the pictures in it."
HOSTS_SHOWN, ROWS_SHOWN = 20, 20


def show(source: Source, reading: Reading) -> None:
    """Show what there is to fetch for a table, or what came of it; nothing where its pictures are not on the web."""
    if not reading.preview.addresses:
        return
    st.markdown("**Pictures on the web**")
    if fetching.is_off():
        st.info(OFF, icon=":material/public_off:")
        return
    asked = FetchRequest(
        source=source.kind,
        path=source.path,
        columns=reading.columns,
        table=reading.table,
        source_version=reading.version,
    )
    job = fetching.latest(asked)
    if job is not None and not job.state.is_finished:
        st.caption("The pictures are being fetched. You can check the products when that is done.")
    elif job is None or job.result is None:
        _offer(asked, words.count(reading.preview.addresses, "product"))
    elif "ready" not in job.result:
        _plan(replace(asked, fresh_hours=job.request["fresh_hours"]), job.result)
    else:
        _done(asked, job.result)


def _offer(asked: FetchRequest, products: str) -> None:
    st.caption(f"The pictures of {products} are named by their web addresses. They are fetched once, before the check.")
    _button("Count the pictures to fetch", replace(asked, check_only=True), "travel_explore")


def _plan(asked: FetchRequest, result: dict[str, Any]) -> None:
    """Say what a fetch would take, and have the hosts confirmed that nobody allowed yet."""
    hosts = result["hosts"]
    _hosts(hosts)
    if result["seconds"] is not None and result["due"]:
        size, time = words.size(result["n_bytes"]), words.duration(result["seconds"])
        st.caption(
            f"{words.count(result['due'], 'picture')} to fetch: about {size}, in about {time}, going by a sample."
        )
    new = [host["host"] for host in hosts if not host["allowed"] and host["can_be_asked"]]
    confirms = bool(new) and st.checkbox(
        f"Pictures may be fetched from {words.count(len(new), 'new host')}: {', '.join(plain(name) for name in new[:HOSTS_SHOWN])}",
        key=f"confirm-{asked.path}",
        help="Confirm only hosts that you know and whose pictures you may use. You confirm each host only once.",
    )
    if not any(host["allowed"] for host in hosts) and not confirms:
        st.caption("None of these hosts is allowed yet.")
        return
    _button("Fetch the pictures", replace(asked, confirm=tuple(new) if confirms else ()), "download")


def _hosts(hosts: list[dict[str, Any]]) -> None:
    rows = [
        {
            "Host": host["host"] or "No host",
            "Pictures": host["addresses"],
            "To fetch": host["due"],
            "Allowed": "Yes" if host["allowed"] else "Not yet" if host["can_be_asked"] else "No",
        }
        for host in hosts[:HOSTS_SHOWN]
    ]
    st.dataframe(rows, hide_index=True, key="fetch-hosts")
    if len(hosts) > HOSTS_SHOWN:
        st.caption(f"And {words.count(len(hosts) - HOSTS_SHOWN, 'more host')}.")


def _done(asked: FetchRequest, result: dict[str, Any]) -> None:
    failed = sum(result["failed"].values())
    st.caption(f"{words.count(result['ready'], 'picture is', 'pictures are')} ready.")
    if failed:
        reasons = [f"- {plain(words.reason(code))}: {count:,}" for code, count in result["failed"].items()]
        st.markdown("\n".join([f"**{words.count(failed, 'picture')} could not be fetched**", "", *reasons]))
        st.dataframe(
            [{"Address": row["address"], "Why": row["reason"]} for row in result["rows"][:ROWS_SHOWN]],
            hide_index=True,
            key="fetch-failed",
        )
    placeholders.show(result.get("shared", ()))
    with st.container(horizontal=True):
        if failed:
            _button("Retry only those", replace(asked, only_failed=True), "refresh")
        _button("Look for changed pictures", replace(asked, check_only=True, fresh_hours=0.0), "sync")


def _button(title: str, request: FetchRequest, icon: str) -> None:
    if st.button(title, icon=f":material/{icon}:", key=f"fetch-{title}"):
        panel.submit(request)
        st.rerun()
