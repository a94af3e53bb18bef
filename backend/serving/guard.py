"""What stands in front of every route: the token, the limits, and the promise that nothing untyped gets out.

Every route is closed: it names the scope that a token needs for it, and a path without one is nobody's. ``OPEN`` lists
the only ones that ask for no token.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, TypeGuard

import anyio
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from backend.errors import EndpointDenied, EndpointRejected, SettingsError, WorkbenchError
from backend.serving.limits import Pace, TooFast
from backend.serving.tokens import TokenEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from backend.serving.limits import Limits
    from backend.serving.metrics import Metrics
    from backend.serving.tokens import Scope as TokenScope
    from backend.serving.tokens import TokenStore
    from backend.settings import SecretStr

OPEN = frozenset({"/ping"})
UNHURRIED = frozenset({"/v1/reload"})  # loads a model, and takes as long as that takes
OTHER = "other"
BODY_TIMEOUT_S = 30.0
MAX_IN_FLIGHT = 64
_INTERNAL, _UNAVAILABLE = 500, 503
_log = logging.getLogger(__name__)


class Guard:
    """Middleware around all routes.

    In this order: overload, token, scope, pace, body; then the route, for so long and no longer; then the log line and
    the count. The body is read here, to its limit and in time, so that no route can forget it.

    Args:
        app: What is guarded.
        tokens: Tokens that are accepted.
        extra_token: One more, from the settings, for everything; may be empty.
        limits: Of one request, and of one token.
        metrics: Where requests are counted.
        needs: The scope that each path needs; only these are named in log and counts, any other is "other".
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: TokenStore,
        extra_token: SecretStr,
        limits: Limits,
        metrics: Metrics,
        needs: Mapping[str, TokenScope],
    ) -> None:
        self._app, self._tokens, self._extra = app, tokens, extra_token
        self._limits, self._metrics, self._needs = limits, metrics, needs
        self._pace = Pace(limits.per_second)
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)  # lifespan; there is no other: no route takes a web socket
            return
        is_known = scope["path"] in self._needs or scope["path"] in OPEN
        route = scope["path"] if is_known else OTHER
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
            if scope["path"] not in OPEN:
                await self._admit(scope)
            body = await self._body(scope, receive)
            seconds = None if scope["path"] in UNHURRIED else self._limits.answer_s
            async with asyncio.timeout(seconds):
                await self._app(scope, _replayed(body, receive), send)
        except TimeoutError:
            late = EndpointRejected(
                "The answer took too long.", code="timeout", status=504, next_step="Send fewer pictures at once."
            )
            await error_response(late)(scope, receive, send)
        except MemoryError as error:  # of this request alone: what it held is free again
            _log.error("out of memory", exc_info=error)
            short = EndpointRejected(
                "There is not enough memory to answer this.",
                code="out_of_memory",
                status=_UNAVAILABLE,
                next_step="Send fewer or smaller pictures, or try again soon.",
            )
            await error_response(short)(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the last net: nothing untyped gets out
            answer = error if _is_for_the_caller(error) else incident(error)
            await error_response(answer)(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        if self._in_flight > MAX_IN_FLIGHT:
            raise EndpointRejected("Too many requests at once.", code="busy", status=503, next_step="Try again soon.")
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].decode("latin-1").partition(" ") if len(given) == 1 else ("", "", "")
        entry = self._holder(token.strip()) if scheme.lower() == "bearer" else None
        if entry is None:
            raise EndpointDenied(
                "The token is missing or wrong.", next_step="Send the header `Authorization: Bearer <token>`."
            )
        if not entry.may(self._needs.get(scope["path"], "all")):
            raise EndpointRejected(
                "This token is not meant for this address.",
                code="out_of_scope",
                status=403,
                next_step="Ask whoever runs the endpoint for a token of another scope.",
            )
        self._pace.admit(entry.name)
        if entry.sha256 and self._tokens.is_use_due(entry.name):
            await anyio.to_thread.run_sync(self._note_use, entry.name)

    def _note_use(self, name: str) -> None:
        """Note when a token was used; a disk that is full does not keep an answer back."""
        try:
            self._tokens.note_use(name)
        except (OSError, SettingsError) as error:
            _log.warning("the last use of the token %s was not noted: %s", name, error)

    def _holder(self, token: str) -> TokenEntry | None:
        known = self._tokens.find(token)
        extra = self._extra.reveal()
        same = secrets.compare_digest(token.encode(), extra.encode())
        return TokenEntry("the settings", "", "") if extra and same else known

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Read the whole body; a length that is announced too large is refused before a byte of it is read."""
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > self._limits.body_bytes:
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
                    if size > self._limits.body_bytes:
                        raise self._too_large()
                    more = message.get("more_body", False)
        except TimeoutError as error:
            raise EndpointRejected(
                "The request did not arrive in time.", code="slow_request", status=408, next_step="Send it again."
            ) from error
        return b"".join(parts)

    def _too_large(self) -> EndpointRejected:
        return EndpointRejected(
            f"The request is larger than the {self._limits.body_bytes / 1e6:g} MB allowed.",
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
    if isinstance(error, TooFast):
        headers["Retry-After"] = str(error.retry_after_s)
    elif error.status == _UNAVAILABLE:
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
