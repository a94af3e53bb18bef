"""What the System page says about settings, versions, addresses and the machine."""

from __future__ import annotations

import platform
from dataclasses import fields
from importlib import metadata
from typing import TYPE_CHECKING

import streamlit as st

from app.words import plain
from backend.settings import PREFIX, SecretStr, Settings

if TYPE_CHECKING:
    from backend.doctor import Check

PACKAGES = (
    *("streamlit", "plotly", "tensorflow", "tf-keras", "tensorflow-similarity", "horovod", "pyspark", "delta-spark"),
    *("deltalake", "pyarrow", "mlflow", "numpy", "pillow"),
)


def addresses(settings: Settings) -> dict[str, str]:
    """Return the address of each server by what it is."""
    host = settings.effective_endpoint_url if settings.endpoint_url else ""
    local = f"http://{settings.host}"
    return {
        "Runs and models (MLflow)": settings.tracking_uri
        if settings.tracking_uri.startswith("http")
        else f"{local}:{settings.mlflow_port}",
        "Endpoint": f"{host or f'{local}:{settings.endpoint_port}'}/ping",
    }


def settings_rows(settings: Settings) -> list[dict[str, str]]:
    """Return every setting with its value in force; secrets only tell whether they are set."""
    rows = []
    for item in fields(settings):
        value = getattr(settings, item.name)
        is_secret = isinstance(value, SecretStr)
        shown = ("set, not shown" if value else "made locally") if is_secret else str(value)
        rows.append({"Setting": PREFIX + item.name.upper(), "Value": shown, "Meaning": item.metadata["help"]})
    return rows


def version_rows() -> list[dict[str, str]]:
    """Return the versions of what Twinset stands on, read without importing any of it."""
    rows = [{"Package": "python", "Version": platform.python_version()}]
    for name in PACKAGES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = "not installed"
        rows.append({"Package": name, "Version": version})
    return rows


def show_checks(checks: list[Check]) -> None:
    """Show what was looked at, failures first, each with its remedy; ports are left out, as Twinset itself has them."""
    for check in sorted(checks, key=lambda check: check.ok):
        if check.name.startswith("Port of"):
            continue
        if check.ok:
            st.markdown(f":green[:material/check_circle:] **{plain(check.name)}** · {plain(check.detail)}")
        else:
            text = f"**{plain(check.name)}** · {plain(check.detail)}"
            st.warning(f"{text}\n\n{plain(check.fix)}", icon=":material/warning:")
