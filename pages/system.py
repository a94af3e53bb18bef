"""System: the settings in force, the versions, the addresses, and whether this machine is ready."""

import streamlit as st

from app import identity, words
from app.components.shared import charts
from app.components.system import alerts, audit, facts, questions
from app.components.system import disk as use_of_disk
from app.services import common
from backend.access.person import Role

st.title("System")
st.caption("Versions, settings and addresses of this installation.")

with st.container(horizontal=True):
    for title, url in facts.addresses(common.settings()).items():
        st.link_button(words.plain(title), url, icon=":material/open_in_new:")

facts.show_troubles(common.server_troubles())
titles = ["Ready?", "Settings", "Versions", "Disk", questions.TITLE, alerts.TITLE]
titles += [audit.TITLE] if identity.may(Role.ADMIN) else []
ready, settings, versions, disk, asked, told, *done = st.tabs(titles, key="view", bind="query-params")
if ready.open:
    with ready:
        facts.show_checks(common.machine_checks())
if settings.open:
    with settings:
        charts.table(facts.settings_rows(common.settings()))
if versions.open:
    with versions:
        charts.table(facts.version_rows())
if disk.open:
    with disk:
        use_of_disk.show()
if asked.open:
    with asked:
        questions.show()
if told.open:
    with told:
        alerts.show()
for tab in done:
    if tab.open:
        with tab:
            audit.show()
