"""What stands in front of every route: the token, the limits, and the promise that nothing untyped gets out.

Every route is closed: it names the scope that a token needs for it, and a path without one is nobody's. ``OPEN``, of
:mod:`backend.serving.wire.routes`, lists the only ones that ask for no token.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import TYPE_CHECKING, TypeGuard

import anyio
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from backend.access.asking import Asking, asked_by
from backend.access.edges import account
from backend.access.logs import log_person, request_id
from backend.access.person import Person, Role
from backend.errors import EndpointDenied, EndpointRejected, SettingsError, WorkbenchError
from backend.serving.caller import Caller
from backend.serving.limits import Pace, TooFast, WrongTokens
from backend.serving.tokens import TokenEntry
from backend.serving.turns import Turns
from backend.serving.wire.refusals import failure
from backend.serving.wire.routes import OPEN, ROUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from backend.access.asking import Journal
    from backend.serving.limits import Limits
    from backend.serving.metrics import Metrics
    from backend.serving.tokens import Scope as TokenScope
    from backend.serving.tokens import TokenStore
    from backend.settings import SecretStr

UNHURRIED = frozenset(route.path for route in ROUTES if route.is_unhurried)
WITH_BODY = frozenset(route.path for route in ROUTES if route.has_body)
OTHER = "other"
OF_SETTINGS = "(settings)"  # in place of a token's name, which has no brackets
SEATS = 64  # requests of one token whose bodies are being read, or wait for their answer
LARGE_SEATS = 8  # of those, as many may have a large body: what one token makes the endpoint hold stays near 0.5 GB
_INTERNAL, _UNAVAILABLE = 500, 503
_log = logging.getLogger(__name__)


class Guard:
    """Middleware around all routes.

    In this order: token, scope, pace, a seat among those of the token, body; then the route, for so long and no longer;
    then the log line and the count. The body is read here, to its limit and in time, so that no route can forget it.

    Args:
        app: What is guarded.
        tokens: Tokens that are accepted.
        extra_token: One more, from the settings, for everything; may be empty.
        limits: Of one request, and of one token.
        metrics: Where requests are counted.
        journal: Where what people do is written down.
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
        journal: Journal,
    ) -> None:
        self._journal = journal
        self._app, self._tokens, self._extra = app, tokens, extra_token
        self._limits, self._metrics, self._needs = limits, metrics, needs
        self._pace, self._wrong = Pace(limits.per_second), WrongTokens()
        self._seats, self._large_seats = Turns(each=SEATS), Turns(each=LARGE_SEATS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)  # lifespan; there is no other: no route takes a web socket
            return
        is_known = scope["path"] in self._needs or scope["path"] in OPEN
        route = scope["path"] if is_known else OTHER
        started = time.perf_counter()
        caller = Caller(scope, receive, limit=self._limits.body_bytes)
        scope["state"]["caller"] = caller

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                caller.status = message["status"]
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        try:
            await self._answer(scope, caller, noting)
        finally:
            seconds, method = time.perf_counter() - started, _method(scope)
            self._metrics.observe(route, method, caller.status, seconds)
            about = (caller.address, caller.name, method, route, caller.status)
            _log.info("%s %s %s %s %s %.1f ms", *about, seconds * 1e3)

    async def _answer(self, scope: Scope, caller: Caller, send: Send) -> None:
        try:
            await self._let_in(scope, caller, send)
        except BaseException as error:
            if caller.status or not isinstance(error, (Exception, asyncio.CancelledError)):
                raise  # an answer that has begun cannot become another one
            await error_response(_refusal(error))(scope, caller.receive, send)

    async def _let_in(self, scope: Scope, caller: Caller, send: Send) -> None:
        path = scope["path"]
        if path in OPEN:
            await self._app(scope, caller.receive, send)
            return
        person = Person(await self._admit(scope, caller) or account(), Role.VIEWER, "endpoint", caller.address)
        log_person(person.name)  # also in the line that is logged once it is answered
        with asked_by(Asking(person, self._journal)):
            await self._answer_for(scope, caller, send)

    async def _answer_for(self, scope: Scope, caller: Caller, send: Send) -> None:
        path = scope["path"]
        if path not in WITH_BODY or scope["method"] != "POST":
            await self._pass_on(scope, caller, send)
            return
        caller.check_length()
        seats = self._large_seats if caller.may_be_large else self._seats
        async with seats.turn(caller.name, caller.gone):
            await caller.read()
            await self._pass_on(scope, caller, send)

    async def _pass_on(self, scope: Scope, caller: Caller, send: Send) -> None:
        try:
            async with asyncio.timeout(None if scope["path"] in UNHURRIED else self._limits.answer_s):
                await self._app(scope, caller.receive, send)
        except TimeoutError as error:
            raise EndpointRejected(
                "The answer took too long.", code="timeout", status=504, next_step="Send fewer pictures at once."
            ) from error

    async def _admit(self, scope: Scope, caller: Caller) -> str:
        """Let in whoever has a token for this path; returns whose it is, empty for the account of the home."""
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].decode("latin-1").partition(" ") if len(given) == 1 else ("", "", "")
        entry = self._holder(token.strip()) if scheme.lower() == "bearer" else None
        if entry is None:
            if given:
                await self._wrong.slow(caller.address)
            raise EndpointDenied(
                "The token is missing or wrong.", next_step="Send the header `Authorization: Bearer <token>`."
            )
        caller.name = entry.name
        if not entry.may(self._needs.get(scope["path"], "all")):
            raise EndpointRejected(
                "This token's scope does not cover this address.",
                code="out_of_scope",
                status=403,
                next_step="Ask the endpoint's administrator for a token with another scope.",
            )
        self._pace.admit(entry.name)
        if entry.sha256 and self._tokens.is_use_due(entry.name):
            await anyio.to_thread.run_sync(self._note_use, entry.name)
        return entry.person

    def _note_use(self, name: str) -> None:
        """Note when a token was used; a disk that is full does not keep an answer back."""
        try:
            self._tokens.note_use(name)
        except (OSError, SettingsError) as error:
            _log.warning("the last use of the token %s was not recorded: %s", name, error)

    def _holder(self, token: str) -> TokenEntry | None:
        known = self._tokens.find(token)
        extra = self._extra.reveal()
        same = secrets.compare_digest(token.encode(), extra.encode())
        return TokenEntry(OF_SETTINGS, "", "") if extra and same else known


HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


def _is_for_the_caller(error: BaseException) -> TypeGuard[WorkbenchError]:
    """What the caller can act on; our own troubles, say a damaged token file, are for the log."""
    return isinstance(error, WorkbenchError) and (error.status < _INTERNAL or isinstance(error, EndpointRejected))


def error_response(error: WorkbenchError) -> JSONResponse:
    """Write a typed error as the endpoint answers it."""
    body = failure(error.code, error.message, error.next_step, request_id())
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, EndpointDenied) else {}
    if isinstance(error, TooFast):
        headers["Retry-After"] = str(error.retry_after_s)
    elif error.status == _UNAVAILABLE:
        headers["Retry-After"] = "1"
    return JSONResponse(body, status_code=error.status, headers=headers)


def _refusal(error: BaseException) -> WorkbenchError:
    """Return what a caller is told of an error."""
    if isinstance(error, asyncio.CancelledError):  # nothing else cancels an answer that has not begun
        return EndpointRejected(
            "The endpoint is shutting down.", code="ending", status=503, next_step="Try again soon."
        )
    if isinstance(error, MemoryError):  # of this request alone: what it held is free again
        _log.error("out of memory", exc_info=error)
        return EndpointRejected(
            "There is not enough memory to answer this.",
            code="out_of_memory",
            status=_UNAVAILABLE,
            next_step="Send fewer or smaller pictures, or try again soon.",
        )
    return error if _is_for_the_caller(error) else incident(error)


def incident(error: BaseException) -> WorkbenchError:
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
    codes = {404: ("not_found", "Not found."), 405: ("bad_method", "Method not allowed.")}
    code, message = codes.get(status, ("bad_request", "The request cannot be read."))
    step = "docs/reference/endpoint.md lists the endpoint's addresses."
    response = error_response(EndpointRejected(message, code=code, status=status, next_step=step))
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    return response


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in {"GET", "HEAD", "POST"} else OTHER
