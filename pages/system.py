"""System: the settings in force, the versions, the addresses, and whether this machine is ready."""

import streamlit as st

from app import services, words
from app.components import charts, system_facts

st.title("System")
st.caption("What this Twinset runs with.")

with st.container(horizontal=True):
    for title, url in system_facts.addresses(services.settings()).items():
        st.link_button(words.plain(title), url, icon=":material/open_in_new:")

system_facts.show_troubles(services.server_troubles())
ready, settings, versions, disk = st.tabs(["Ready?", "Settings", "Versions", "Disk"], key="view", bind="query-params")
if ready.open:
    with ready:
        system_facts.show_checks(services.machine_checks())
if settings.open:
    with settings:
        charts.table(system_facts.settings_rows(services.settings()))
if versions.open:
    with versions:
        charts.table(system_facts.version_rows())
if disk.open:
    with disk:
        use = services.disk_use()
        st.metric("In use below the home folder", words.size(sum(use.values())))
        charts.table([{"Name": name, "Size": words.size(size)} for name, size in use.items()])
