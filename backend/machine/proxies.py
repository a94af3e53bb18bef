"""What stands between a server and its callers: proxies that are named, and the path that they serve it below.

A header about who calls, by which name and over what is anybody's to write. It counts where the connection comes from an
address that ``TWINSET_PROXIES`` names, and nowhere else.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from backend.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from backend.settings import Settings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_SCHEMES = {b"http": "http", b"https": "https"}


def named_proxies(settings: Settings) -> tuple[Network, ...]:
    """The addresses and networks of the setting.

    Raises:
        SettingsError: It holds something else, or every address there is.
    """
    try:
        found = tuple(ipaddress.ip_network(one.strip()) for one in settings.proxies.split(",") if one.strip())
    except ValueError as error:
        raise SettingsError(
            f"TWINSET_PROXIES: {error}.",
            next_step="Use IP addresses or networks such as 10.0.0.7 or 10.0.0.0/24, separated by commas.",
        ) from error
    if any(not network.prefixlen for network in found):
        raise SettingsError(
            "TWINSET_PROXIES names every address, so any caller could choose the address that is logged.",
            next_step="Name the addresses of the proxies only.",
        )
    return found


class NamedProxies:
    """Middleware: of a request that comes through named proxies, gives the caller's address, and the host and scheme asked.

    From ``X-Forwarded-For`` the last address that is no named proxy is the caller's; what stands before it is the
    caller's own invention. A value that is no address, host or scheme is left out, as is a header that is there twice.
    """

    def __init__(self, app: ASGIApp, *, proxies: tuple[Network, ...]) -> None:
        self._app, self._proxies = app, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on as its caller sent it to the proxy."""
        client = scope.get("client")
        if self._proxies and client and scope["type"] != "lifespan" and self._is_proxy(client[0]):
            scope = {**scope, **self._forwarded(scope, client)}
        await self._app(scope, receive, send)

    def _forwarded(self, scope: Scope, client: tuple[str, int]) -> Scope:
        headers = scope["headers"]
        caller = self._caller(value for name, value in headers if name == b"x-forwarded-for")
        found: Scope = {"client": (caller, 0) if caller else client}
        if scheme := _SCHEMES.get(_only(headers, b"x-forwarded-proto")):
            found["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
        if host := _only(headers, b"x-forwarded-host"):
            found["headers"] = [*((name, value) for name, value in headers if name != b"host"), (b"host", host)]
        return found

    def _caller(self, chains: Iterable[bytes]) -> str | None:
        """Return the last address that is no proxy; None where none is given, or what is there is no address."""
        for one in reversed(b",".join(chains).decode("latin-1").split(",")):
            address = _address(one.strip())
            if address is None or not self._is_proxy(one.strip()):
                return None if address is None else str(address)
        return None

    def _is_proxy(self, host: str) -> bool:
        address = _address(host)
        return address is not None and any(address in network for network in self._proxies)


class BelowPath:
    """Middleware: serves what is asked for below a path as if it were at the root, where it stays as well.

    So a proxy may pass the path on or cut it off, and a probe on the machine itself needs to know nothing of it.
    """

    def __init__(self, app: ASGIApp, *, path: str) -> None:
        self._app, self._path = app, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        if self._path and scope["type"] == "http" and scope["path"].startswith(f"{self._path}/"):
            cut = len(self._path)
            scope = {**scope, "path": scope["path"][cut:], "raw_path": scope.get("raw_path", b"")[cut:]}
        await self._app(scope, receive, send)


def _only(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    values = [value for name, value in headers if name == wanted]
    return values[0].strip() if len(values) == 1 else b""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address; one with a zone is none, for a zone may be any text."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if "%" in text else getattr(found, "ipv4_mapped", None) or found
