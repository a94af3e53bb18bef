"""What the System page says about settings, versions, addresses and the machine."""

from __future__ import annotations

import platform
from dataclasses import fields
from importlib import metadata
from typing import TYPE_CHECKING

import streamlit as st

from app.words import plain, prose
from backend import __version__
from backend.errors.addresses import LOOPBACK, shown
from backend.machine.supervisor import is_tracking_server
from backend.settings import PREFIX, SecretStr, Settings

if TYPE_CHECKING:
    from backend.machine.doctor import Check
    from backend.machine.keeper import Trouble

PACKAGES = (
    *("streamlit", "plotly", "tensorflow", "tf-keras", "tensorflow-similarity", "horovod", "pyspark", "delta-spark"),
    *("deltalake", "pyarrow", "mlflow", "numpy", "pillow"),
)


def addresses(settings: Settings) -> dict[str, str]:
    """Return the address of each server by what it is."""
    mlflow = settings.tracking_uri if is_tracking_server(settings) else f"http://{LOOPBACK}:{settings.mlflow_port}"
    found = {"Runs and models (MLflow)": mlflow, "Endpoint": f"{settings.effective_endpoint_url}/ping"}
    return {what: shown(url) for what, url in found.items() if url.startswith("http")}


def settings_rows(settings: Settings) -> list[dict[str, str]]:
    """Return every setting with its value in force; secrets only tell whether they are set."""
    rows = []
    for item in fields(settings):
        value = getattr(settings, item.name)
        is_secret = isinstance(value, SecretStr)
        text = ("set, not shown" if value else "not set") if is_secret else shown(str(value))
        rows.append({"Setting": PREFIX + item.name.upper(), "Value": text, "Meaning": item.metadata["help"]})
    return rows


def version_rows() -> list[dict[str, str]]:
    """Return the versions of Twinset and of what it is built on, read without importing any of it."""
    rows = [{"Package": "twinset", "Version": __version__}, {"Package": "python", "Version": platform.python_version()}]
    for name in PACKAGES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = "not installed"
        rows.append({"Package": name, "Version": version})
    return rows


def show_troubles(found: list[Trouble]) -> None:
    """Show the servers that died and are started again."""
    for one in found:
        times = "once" if one.deaths == 1 else f"{one.deaths:d} times in a row"
        text = f"**{plain(one.title)}** stopped {times} and will restart within a minute. Its log shows the reason."
        st.warning(text, icon=":material/restart_alt:")


def show_checks(checks: list[Check]) -> None:
    """Show what was looked at, failures first, each with its remedy; ports are left out, as Twinset itself has them."""
    for check in sorted(checks, key=lambda check: check.ok):
        if check.name.startswith("Port of"):
            continue
        if check.ok:
            st.markdown(f":green[:material/check_circle:] **{plain(check.name)}** · {prose(check.detail)}")
        else:
            text = f"**{plain(check.name)}** · {prose(check.detail)}"
            st.warning(f"{text}\n\n{prose(check.fix)}", icon=":material/warning:")
