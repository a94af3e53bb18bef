"""What stands in front of every route: the token, the size of the body, and the promise that nothing untyped gets out."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, TypeGuard

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from backend.errors import EndpointDenied, EndpointRejected, WorkbenchError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from backend.serving.metrics import Metrics
    from backend.serving.tokens import TokenStore
    from backend.settings import SecretStr

OPEN_PATH = "/ping"
OTHER = "other"
BODY_TIMEOUT_S = 30.0
MAX_IN_FLIGHT = 64
_INTERNAL, _UNAVAILABLE = 500, 503
_log = logging.getLogger(__name__)


class Guard:
    """Middleware around all routes.

    In this order: overload, token, body; then the route; then the log line and the count. The body is read here, to
    its limit and in time, so that no route can forget it.

    Args:
        app: What is guarded.
        tokens: Tokens that are accepted.
        extra_token: One more, from the settings; may be empty.
        max_body: Largest body, in bytes.
        metrics: Where requests are counted.
        routes: Paths that may be named in log and counts; any other is "other".
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: TokenStore,
        extra_token: SecretStr,
        max_body: int,
        metrics: Metrics,
        routes: frozenset[str],
    ) -> None:
        self._app, self._tokens, self._extra = app, tokens, extra_token
        self._max_body, self._metrics, self._routes = max_body, metrics, routes
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)  # lifespan; there is no other: no route takes a web socket
            return
        route = scope["path"] if scope["path"] in self._routes else OTHER
        started = time.perf_counter()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        self._in_flight += 1
        try:
            await self._answer(scope, receive, noting)
        finally:
            self._in_flight -= 1
            seconds = time.perf_counter() - started
            self._metrics.observe(route, _method(scope), status, seconds)
            _log.info("%s %s %s %.1f ms", _method(scope), route, status, seconds * 1e3)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"] != OPEN_PATH:
                self._admit(scope)
            body = await self._body(scope, receive)
            await self._app(scope, _replayed(body, receive), send)
        except Exception as error:  # noqa: BLE001 - the last net: nothing untyped gets out
            answer = error if _is_for_the_caller(error) else incident(error)
            await error_response(answer)(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        if self._in_flight > MAX_IN_FLIGHT:
            raise EndpointRejected("Too many requests at once.", code="busy", status=503, next_step="Try again soon.")
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].decode("latin-1").partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not self._accepts(token.strip()):
            raise EndpointDenied(
                "The token is missing or wrong.", next_step="Send the header `Authorization: Bearer <token>`."
            )

    def _accepts(self, token: str) -> bool:
        known = self._tokens.verify(token) is not None
        extra = self._extra.reveal()
        same = secrets.compare_digest(token.encode(), extra.encode())
        return known or (bool(extra) and same)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Read the whole body; a length that is announced too large is refused before a byte of it is read."""
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > self._max_body:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise EndpointRejected("The connection ended.", code="disconnected", status=400)
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self._max_body:
                        raise self._too_large()
                    more = message.get("more_body", False)
        except TimeoutError as error:
            raise EndpointRejected(
                "The request did not arrive in time.", code="slow_request", status=408, next_step="Send it again."
            ) from error
        return b"".join(parts)

    def _too_large(self) -> EndpointRejected:
        return EndpointRejected(
            f"The request is larger than the {self._max_body / 1e6:g} MB allowed.",
            code="too_large",
            status=413,
            next_step="Send a smaller picture, or fewer at once.",
        )


_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


def _is_for_the_caller(error: Exception) -> TypeGuard[WorkbenchError]:
    """What the caller can act on; our own troubles, say a damaged token file, are for the log."""
    return isinstance(error, WorkbenchError) and (error.status < _INTERNAL or isinstance(error, EndpointRejected))


def error_response(error: WorkbenchError) -> JSONResponse:
    """Write a typed error as the endpoint answers it."""
    body = {"error": {"code": error.code, "message": error.message, "next_step": error.next_step}}
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, EndpointDenied) else {}
    if error.status == _UNAVAILABLE:
        headers["Retry-After"] = "1"
    return JSONResponse(body, status_code=error.status, headers=headers)


def incident(error: Exception) -> WorkbenchError:
    """Log an error nobody expected under a new id; what is answered holds the id and nothing of the error."""
    number = secrets.token_hex(6)
    _log.error("incident %s", number, exc_info=error)
    return EndpointRejected(
        f"Something went wrong in the endpoint (incident {number}).",
        code="internal_error",
        status=_INTERNAL,
        next_step="The endpoint's log has the details under this number.",
    )


async def http_error(_request: Request, error: Exception) -> JSONResponse:
    """Type what the router refuses: no such path, not that method."""
    status = error.status_code if isinstance(error, HTTPException) else _INTERNAL
    codes = {404: ("not_found", "There is no such address here."), 405: ("bad_method", "Not with this method.")}
    code, message = codes.get(status, ("bad_request", "The request cannot be read."))
    step = "See the README for the endpoint's addresses."
    response = error_response(EndpointRejected(message, code=code, status=status, next_step=step))
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    return response


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives the body that has been read, then what comes after it."""
    unread: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return unread.pop() if unread else await receive()

    return again


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in {"GET", "HEAD", "POST"} else OTHER
