"""The ways in and out: a one-time address, a provider, and signing out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse, RedirectResponse

from backend.access.way_in import KEY, SIGN_IN_PATH
from backend.errors import AccessDenied
from backend.serving.sign_in.entrance import cookies_set, set_cookies
from backend.serving.sign_in.page import address_refused, invitation, provider_failed

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from backend.access.sign_ins import Entry
    from backend.serving.sign_in.entrance import Entrance, Provider

# Streamlit's own routes; see the module of that name in its server.
HEALTH, LOG_IN, LOG_OUT, CALLBACK = "/_stcore/health", "/auth/login", "/auth/logout", "/oauth2callback"
OPEN = frozenset({HEALTH, SIGN_IN_PATH, LOG_IN, LOG_OUT, CALLBACK})
_UNSEEN = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_NO_ANSWER = "The sign-in service cannot be reached."
_FAILED = "The sign-in was cancelled or has expired."
_OF_CALLBACK = {"state", "code", "error"}  # which the return from signing out has not
_log = logging.getLogger(__name__)


async def go(of: Entrance, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer on one of the open paths but that of the health."""
    path = of.path(scope)
    if path == LOG_OUT:
        await _log_out(of, app, scope, receive, send)
    elif path == SIGN_IN_PATH:
        await _sign_in(of, scope)(scope, receive, send)
    elif of.provider is None or scope["method"] != "GET":
        await invitation(of.root, by_provider=of.provider is not None)(scope, receive, send)
    else:
        answer = await _by_provider(of, of.provider, app, scope, receive)
        await answer(scope, receive, send)


def _sign_in(of: Entrance, scope: Scope) -> Response:
    key = "".join(_query(scope).get(KEY, [])[:1])
    if scope["method"] != "GET" or (not key and of.provider is None):
        return invitation(of.root, by_provider=of.provider is not None, tries=False)
    if of.provider is not None:
        return RedirectResponse(of.provider.begin(), status_code=303, headers=_UNSEEN)
    try:
        entry = _used(of, key)
    except AccessDenied as error:
        _refused(scope, error)
        return address_refused(str(error))
    response = RedirectResponse(of.destination(scope), status_code=303, headers=_UNSEEN)
    of.begin(response, scope, entry.name, entry.role, "strict")
    return response


def _used(of: Entrance, key: str) -> Entry:
    entry = of.sign_ins.use(key)
    if of.person(entry, "") is None:
        raise AccessDenied("You no longer have access to Twinset.", next_step="Ask your Twinset administrator.")
    return entry


async def _log_out(of: Entrance, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """End the session here; Streamlit's own route ends it at the provider."""
    ending = PlainTextResponse()
    of.end(ending, scope)

    async def ended(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *set_cookies(ending.raw_headers)]
        await send(message)

    await app(scope, receive, ended)


async def _by_provider(of: Entrance, provider: Provider, app: ASGIApp, scope: Scope, receive: Receive) -> ASGIApp:
    """Have Streamlit's own route find out who it is, and begin a session where it has."""
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    async def replay(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    await app(scope, receive, keep)
    start = messages[0]
    if of.path(scope) == LOG_IN:
        return provider_failed(_NO_ANSWER, of.root) if start["status"] >= 400 else replay
    claims = provider.claims(cookies_set(start["headers"]))
    if claims is None:
        return provider_failed(_FAILED, of.root) if _OF_CALLBACK & _query(scope).keys() else replay
    try:
        name, role = provider.accepted(claims)
    except AccessDenied as error:
        _refused(scope, error)
        return provider_failed(str(error), of.root)
    response = RedirectResponse(of.destination(scope), status_code=303, headers=_UNSEEN)
    response.raw_headers += set_cookies(start["headers"])
    of.begin(response, scope, name, role, "lax")  # what a provider's redirect brings is no cookie that is kept strictly
    return response


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"))


def _refused(scope: Scope, error: AccessDenied) -> None:
    _log.warning("%s: a sign-in was refused: %s", (scope.get("client") or ("-",))[0], error.message)
