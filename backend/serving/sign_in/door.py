"""The door of the app behind that of its host names: nothing is answered to somebody who has not signed in.

It is in front of all that Streamlit serves, so that pages, media, uploads, components, downloads and the web socket are
behind it alike, those of later versions of Streamlit too: what is let through without a session is the list ``OPEN``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from backend.access.asking import Asking, asked_by
from backend.serving.sign_in.page import invitation, without_role
from backend.serving.sign_in.ways import HEALTH, OPEN, go

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from backend.serving.sign_in.entrance import Entrance

_UNAUTHORISED = 401


class SignInDoor:
    """Middleware that lets only those in who have signed in, as described above."""

    def __init__(self, app: ASGIApp, *, entrance: Entrance) -> None:
        self._app, self._of = app, entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or answer with what there is for those who have not signed in."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif self.is_open(scope):
            is_health = self._of.path(scope) == HEALTH
            await (self._app(scope, receive, send) if is_health else go(self._of, self._app, scope, receive, send))
        else:
            await self._page(scope, receive, send)

    def is_open(self, scope: Scope) -> bool:
        """Whether a request needs no session."""
        return self._of.path(scope) in OPEN

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a web socket in, and out at the first message after its session has ended."""

        def may_stay() -> bool:
            found = self._of.visitor(scope)
            return found is not None and found.role is not None

        async def watched() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive" or may_stay():
                return message
            await send({"type": "websocket.send", "bytes": self._of.farewell})
            await send({"type": "websocket.close", "code": 1008})
            return {"type": "websocket.disconnect", "code": 1008}

        if may_stay():
            await self._app(scope, watched, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # not accepted yet, so this answers with status 403

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer somebody who may come in, for whom what is behind the door then asks."""
        found = self._of.visitor(scope)
        if found is None:
            await self._refusal(scope)(scope, receive, send)
        elif found.role is None:
            await without_role(found.name, self._of.root)(scope, receive, send)
        else:
            with asked_by(Asking(found, self._of.journal)):
                await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response:
        """Return what somebody gets who has not signed in."""
        accepts = b"".join(value for name, value in scope["headers"] if name == b"accept")
        if scope["method"] not in {"GET", "HEAD"} or b"text/html" not in accepts:
            return PlainTextResponse("Sign in first.", status_code=_UNAUTHORISED, headers={"Cache-Control": "no-store"})
        response = invitation(self._of.root, by_provider=self._of.provider is not None)
        self._of.remember_link(response, scope)
        return response
