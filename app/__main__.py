"""Starts the app: ``python -m app``, behind a door that knows its own names, and one that knows who has signed in."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import streamlit as st
from starlette.middleware import Middleware
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Route

from backend.access.asking import identify_by
from backend.access.logs import log_app
from backend.access.way_in import app_url, way_in
from backend.errors import AccessDenied, CatalogueError, WorkbenchError
from backend.errors.addresses import is_loopback_host
from backend.flow.current.export import handed_out
from backend.machine.hosts import app_hosts, app_origins
from backend.machine.proxies import NamedProxies, named_proxies
from backend.serving.doors import BrowserDoor
from backend.settings import load_settings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from backend.settings import Settings


_PRIVATE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def serve(settings: Settings) -> None:
    """Serve the app until SIGTERM or SIGINT.

    Raises:
        SettingsError: The settings would leave it open to other machines, or do not say enough.
    """
    way_in(settings)
    log_app(settings)
    from app import identity  # what is imported here logs while it is
    from app.services.export import EXPORTS
    from app.services.sign_in.entrance import sign_in_doors
    from app.services.sign_in.provider import streamlit_secrets

    identify_by(identity.resolver)
    is_open = not is_loopback_host(settings.app_host)
    hosts, origins = app_hosts(settings), app_origins(settings)
    os.environ["FORWARDED_ALLOW_IPS"] = ""  # Streamlit's server would believe every proxy on this machine
    doors = [
        Middleware(NamedProxies, proxies=named_proxies(settings)),
        Middleware(
            BrowserDoor,
            hosts=hosts,
            origins=origins,
            addresses=is_open,
            is_secure=app_url(settings).startswith("https:"),
        ),
        *sign_in_doors(settings),
    ]
    auth = streamlit_secrets(settings)
    exports = Route(f"{settings.app_path}{EXPORTS}/{{catalogue}}", partial(corrected, settings))
    app = st.App(Path(__file__).with_name("main.py"), middleware=doors, routes=[exports], secrets=auth)
    app.run(
        config={
            "server.address": settings.app_host,
            "server.port": settings.app_port,
            "server.baseUrlPath": settings.app_path,
            "server.headless": True,
            # Otherwise Streamlit asks a server elsewhere for this machine's address, to print it and to compare origins.
            "browser.serverAddress": urlsplit(app_url(settings)).hostname,
            "logger.hideWelcomeMessage": True,
            # The larger of both limits; each uploader on a page has its own.
            "server.maxUploadSize": max(settings.max_upload_mb, settings.max_source_upload_mb),
        }
    )


async def corrected(settings: Settings, request: Request) -> Response:
    """Send the corrected table of a catalogue from the disk; its pages alone may read it."""
    try:
        path = handed_out(settings, request.path_params["catalogue"])
    except AccessDenied as error:
        return PlainTextResponse(str(error), status_code=403)
    except CatalogueError as error:
        return PlainTextResponse(str(error), status_code=404)
    return FileResponse(path, media_type="text/csv", filename=f"{path.stem}-corrected.csv", headers=_PRIVATE)


if __name__ == "__main__":
    try:
        serve(load_settings())
    except WorkbenchError as error:
        sys.exit(str(error))
