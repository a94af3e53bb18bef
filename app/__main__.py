"""Starts the app: ``python -m app``, on loopback whatever the settings say, behind a door that knows its own names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from starlette.middleware import Middleware

from backend.errors.addresses import LOOPBACK
from backend.machine.hosts import added_hosts, local_hosts
from backend.serving.doors import BrowserDoor
from backend.settings import load_settings

if TYPE_CHECKING:
    from backend.settings import Settings


def serve(settings: Settings) -> None:
    """Serve the app until SIGTERM or SIGINT. It asks for no login yet, so it is there for this machine only."""
    hosts, origins = local_hosts(settings), added_hosts(settings)
    door = Middleware(BrowserDoor, hosts=hosts, origins=origins)
    app = st.App(Path(__file__).with_name("main.py"), middleware=[door])
    app.run(
        config={
            "server.address": LOOPBACK,
            "server.port": settings.app_port,
            "server.headless": True,
            # The larger of both limits; each uploader on a page has its own.
            "server.maxUploadSize": max(settings.max_upload_mb, settings.max_source_upload_mb),
        }
    )


if __name__ == "__main__":
    serve(load_settings())
