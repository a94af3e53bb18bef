"""The endpoint process: one uvicorn, one model, bound to the address of the settings."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import uvicorn
from threadpoolctl import threadpool_limits

from backend.errors import EnvironmentUnready, SettingsError
from backend.errors.addresses import is_loopback_host
from backend.serving.connection import Connection
from backend.serving.gateway import build_app
from backend.serving.served import serving_threads
from backend.serving.tokens import ensure_app_token, token_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from starlette.applications import Starlette
    from starlette.types import ASGIApp

    from backend.settings import Settings

GRACE_S = 2  # for answers under way
END_S = 2.7  # for the whole process
_BACKLOG = 1024  # a full one costs a client a second
_SHORTEST_TOKEN = 16
_log = logging.getLogger(__name__)


def serve(
    settings: Settings,
    *,
    port: int | None = None,
    on_ready: Callable[[str], None] | None = None,
    app: Starlette | None = None,
    ends_process: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT, then let running answers finish and return.

    Args:
        settings: Address, limits and registry.
        port: Port to listen on; the setting when left out, any free one when 0.
        on_ready: Called with the address once requests are accepted, the model being loaded.
        app: What is served; built from the settings when left out.
        ends_process: Whether the process is to end in time even if an answer cannot be stopped.

    Raises:
        SettingsError: The address is open to others and no token protects it, or the token of the settings is weak.
        EnvironmentUnready: The port is taken, or the address is not one of this machine.
    """
    _check_tokens(settings)
    with (
        closing(_bound(settings.host, settings.endpoint_port if port is None else port)) as listener,
        # A second thread for one small product is woken, and then spins where answers are made.
        threadpool_limits(limits=serving_threads(settings), user_api="blas"),
    ):
        Server(app or build_app(settings), on_ready or _announce, ends_process=ends_process).run(sockets=[listener])


class Server(uvicorn.Server):
    """Says when it is ready, and returns on a signal instead of raising it again.

    Args:
        app: What is served.
        on_ready: Called with the address once requests are accepted.
        ends_process: Whether a signal ends the process as well, at the latest after ``END_S``, whatever its threads do.
    """

    def __init__(self, app: ASGIApp, on_ready: Callable[[str], None], *, ends_process: bool = False) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                log_config=None,
                access_log=False,  # it would log query strings; the guard logs what may be logged
                proxy_headers=False,  # who connects is known, what a header says about it is not
                server_header=False,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._on_ready, self._ends_process = on_ready, ends_process

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Load the application, take requests, and say so."""
        await super().startup(sockets)
        if self.started and sockets:
            self._on_ready(_address(sockets[0]))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, as uvicorn does; a thread that works on cannot keep the process."""
        if self._ends_process and not self.should_exit:
            last = threading.Timer(END_S, _leave)
            last.daemon = True
            last.start()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear the signals while it serves, and leave them as they were."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals belong to the main thread
            return
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def _check_tokens(settings: Settings) -> None:
    """On loopback the local app gets its token; elsewhere someone must have made one on purpose."""
    own = settings.endpoint_token.reveal()
    if own and len(own) < _SHORTEST_TOKEN:
        raise SettingsError(
            f"TWINSET_ENDPOINT_TOKEN has fewer than {_SHORTEST_TOKEN} characters.",
            next_step='Create one with `python -c "import secrets; print(secrets.token_urlsafe(32))"`.',
        )
    if is_loopback_host(settings.host):
        ensure_app_token(settings)
    elif not own and not token_store(settings).names():
        raise SettingsError(
            f"The endpoint would listen on {settings.host}, reachable from other machines, without any token.",
            next_step="Set TWINSET_ENDPOINT_TOKEN, or TWINSET_HOST to 127.0.0.1.",
        )


def _bound(host: str, port: int) -> socket.socket:
    """Take the address before the model is loaded: a taken port is known at once, not after ten seconds."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left open, asyncio does not set TCP_NODELAY, and every answer waits 40 ms for a delayed ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        raise EnvironmentUnready(
            f"The endpoint cannot listen on {host}, port {port}: {error.strerror}.",
            next_step="Stop what uses the port, or set TWINSET_ENDPOINT_PORT and TWINSET_HOST to a free address.",
        ) from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _leave() -> None:
    _log.warning("ended before all its threads did")
    logging.shutdown()
    os._exit(0)


def _announce(address: str) -> None:
    _log.info("endpoint ready at %s", address)
