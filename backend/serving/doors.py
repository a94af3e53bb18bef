"""Doors of servers: no request that names another host, or comes from another site, is let in.

A page from elsewhere can have its own name resolve to this machine, and its script then speaks with whatever listens
here as if it came from there (DNS rebinding). The name stays in the header ``Host``, and no script can change that.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.middleware import Middleware

from backend.access.logs import REQUEST_HEADER, new_request
from backend.errors import EndpointRejected
from backend.errors.addresses import is_loopback_host
from backend.machine.hosts import endpoint_hosts, is_known
from backend.serving.guard import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from backend.settings import Settings

MISDIRECTED = 421
_NOT_FRAMED = [(b"content-security-policy", b"frame-ancestors 'none'"), (b"x-frame-options", b"DENY")]
_log = logging.getLogger(__name__)


def endpoint_door(settings: Settings) -> Middleware:
    """The door of the endpoint; on an open address it is also reached by its number, whatever that is from outside."""
    return Middleware(HostDoor, hosts=endpoint_hosts(settings), addresses=not is_loopback_host(settings.host))


class Traced:
    """Outermost middleware: gives each request its id, the caller's own if that is well-formed, and returns it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = new_request("".join(_values(scope, REQUEST_HEADER.lower().encode())))
        header = (REQUEST_HEADER.lower().encode(), found.encode())

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], header]
            await send(message)

        await self._app(scope, receive, told)


class HostDoor:
    """Middleware that refuses requests to names that are not on a list; ``hosts`` and ``addresses`` as above."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], addresses: bool = False) -> None:
        self._app, self._hosts, self._addresses = app, hosts, addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        if scope["type"] == "lifespan" or self.admits(scope):
            await self._app(scope, receive, send)
            return
        address = (scope.get("client") or ("-",))[0]
        _log.warning("%s refused: the request names another host or comes from another site", address)
        await _refuse(scope, receive, send)

    def admits(self, scope: Scope) -> bool:
        """Whether a request names one host, and one that is known."""
        named = _values(scope, b"host")
        return len(named) == 1 and is_known(named[0], self._hosts, addresses=self._addresses)


class BrowserDoor(HostDoor):
    """A door for what browsers show: no page of another site can call it, open its web socket or frame it.

    Args:
        app: What is behind it.
        hosts: The names it answers to.
        origins: Names of a proxy in front, whose pages are its own although they may name another host.
        addresses: Whether any IP address will do as a name.
        is_secure: Whether browsers reach it by TLS in any case, whatever a proxy says of a request.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: frozenset[str],
        origins: frozenset[str],
        addresses: bool = False,
        is_secure: bool = False,
    ) -> None:
        super().__init__(app, hosts=hosts, addresses=addresses)
        self._origins, self._is_secure = origins, is_secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it; neither answer can be framed, and cookies behind TLS stay behind it."""
        is_secure = self._is_secure or scope.get("scheme") == "https"

        async def unframed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [_secured(one) if is_secure else one for one in message["headers"]]
                message["headers"] = [*headers, *_NOT_FRAMED]
            await send(message)

        await super().__call__(scope, receive, unframed)

    def admits(self, scope: Scope) -> bool:
        """Whether a request names a known host, and comes from its own pages or from no page."""
        return super().admits(scope) and all(self._is_own(scope, origin) for origin in _values(scope, b"origin"))

    def _is_own(self, scope: Scope, origin: str) -> bool:
        _, separator, site = origin.lower().partition("://")
        return bool(separator) and (site == _values(scope, b"host")[0].lower() or is_known(site, self._origins))


def _secured(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = header
    is_open = name.lower() == b"set-cookie" and b"; secure" not in value.lower()
    return (name, value + b"; Secure") if is_open else header


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # not accepted yet, so this answers with status 403
        return
    error = EndpointRejected(
        "This host name is not served here.",
        code="unknown_host",
        status=MISDIRECTED,
        next_step="Use the server's own name, or ask its administrator to add this one to TWINSET_ALLOWED_HOSTS.",
    )
    await error_response(error)(scope, receive, send)
