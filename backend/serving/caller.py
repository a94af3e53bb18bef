"""Who asks, what has arrived of the request, and whether they still wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backend.errors import EndpointRejected
from backend.serving.turns import disconnected

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope

BODY_TIMEOUT_S = 30.0
LARGE_BYTES = 5_000_000  # a body from here on is a large one; nearly all photos have less
NOBODY = "-"


class Caller:
    """One request on its way in; nothing of its body is read before it is asked for.

    Attributes:
        address: Where the request comes from; of a header only what a named proxy says (:mod:`backend.machine.proxies`).
        name: Whose token it is, once that is known.
        status: Of the answer; 0 until it has begun.

    Args:
        scope: Of the request.
        receive: Gives what arrives.
        limit: Largest body in bytes.
    """

    def __init__(self, scope: Scope, receive: Receive, *, limit: int) -> None:
        client = scope.get("client")
        self.address: str = client[0] if client else NOBODY
        self.name, self.status = NOBODY, 0
        self._receive, self._limit = receive, limit
        self._announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        self._parts: list[bytes] = []
        self._size = 0
        self._has_more, self._is_gone, self._is_given = True, False, False

    @property
    def may_be_large(self) -> bool:
        """Whether the body is announced as a large one, or comes in chunks that announce nothing."""
        return not self._announced.isdigit() or int(self._announced) > LARGE_BYTES

    def check_length(self) -> None:
        """Refuse a body that is announced too large before a byte of it is read.

        Raises:
            EndpointRejected: ``too_large``.
        """
        if self._announced.isdigit() and int(self._announced) > self._limit:
            raise self._too_large()

    async def read(self) -> None:
        """Read the whole body.

        Raises:
            EndpointRejected: It is too large, did not arrive in time, or not at all.
        """
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while self._has_more:
                    await self._take()
                    if self._is_gone:
                        raise disconnected()
                    if self._size > self._limit:
                        raise self._too_large()
        except TimeoutError as error:
            raise EndpointRejected(
                "The request did not arrive in time.", code="slow_request", status=408, next_step="Send it again."
            ) from error

    async def gone(self) -> None:
        """Return once the caller has hung up.

        Of a body that was not asked for yet the first piece is kept, and no more is let in; until it is asked for, it
        is not noticed who hangs up in the midst of it.
        """
        while not self._is_gone:
            if self._parts and self._has_more:
                await asyncio.get_running_loop().create_future()
            await self._take()

    async def receive(self) -> Message:
        """Give the body as far as it was read, as an application asks for it; then wait for the end of the connection."""
        if not self._is_given:
            self._is_given = True
            body, self._parts = b"".join(self._parts), []
            return {"type": "http.request", "body": body, "more_body": False}
        await self.gone()
        return {"type": "http.disconnect"}

    async def _take(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._is_gone = True
            return
        self._parts.append(message.get("body", b""))
        self._size += len(self._parts[-1])
        self._has_more = message.get("more_body", False)

    def _too_large(self) -> EndpointRejected:
        return EndpointRejected(
            f"The request is larger than the {self._limit / 1e6:g} MB allowed.",
            code="too_large",
            status=413,
            next_step="Send a smaller picture, or fewer at once.",
        )
