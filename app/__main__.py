"""Starts the app: ``python -m app``, on loopback whatever the settings say, behind a door that knows its own names."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from starlette.middleware import Middleware
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Route

from app import identity
from app.services.export import EXPORTS
from backend.access.asking import identify_by
from backend.errors import CatalogueError
from backend.errors.addresses import LOOPBACK
from backend.flow.current.export import export_path
from backend.machine.hosts import added_hosts, local_hosts
from backend.machine.proxies import NamedProxies, named_proxies
from backend.serving.doors import BrowserDoor
from backend.settings import load_settings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from backend.settings import Settings


_NO_EXPORT = "There is no corrected table of this catalogue. Prepare it on the Catalogue page."
_PRIVATE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def serve(settings: Settings) -> None:
    """Serve the app until SIGTERM or SIGINT. It asks for no login yet, so it is there for this machine only."""
    identify_by(identity.resolver)
    hosts, origins = local_hosts(settings), added_hosts(settings)
    os.environ["FORWARDED_ALLOW_IPS"] = ""  # Streamlit's server would believe every proxy on this machine
    doors = [
        Middleware(NamedProxies, proxies=named_proxies(settings)),
        Middleware(BrowserDoor, hosts=hosts, origins=origins),
    ]
    exports = Route(f"{settings.app_path}{EXPORTS}/{{catalogue}}", partial(corrected, settings))
    app = st.App(Path(__file__).with_name("main.py"), middleware=doors, routes=[exports])
    app.run(
        config={
            "server.address": LOOPBACK,
            "server.port": settings.app_port,
            "server.baseUrlPath": settings.app_path,
            "server.headless": True,
            # The larger of both limits; each uploader on a page has its own.
            "server.maxUploadSize": max(settings.max_upload_mb, settings.max_source_upload_mb),
        }
    )


async def corrected(settings: Settings, request: Request) -> Response:
    """Send the corrected table of a catalogue from the disk; its pages alone may read it."""
    try:
        path = export_path(settings, request.path_params["catalogue"])
    except CatalogueError:
        return PlainTextResponse(_NO_EXPORT, status_code=404)
    if not path.is_file():
        return PlainTextResponse(_NO_EXPORT, status_code=404)
    return FileResponse(path, media_type="text/csv", filename=f"{path.stem}-corrected.csv", headers=_PRIVATE)


if __name__ == "__main__":
    serve(load_settings())
