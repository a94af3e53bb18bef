"""Who works now and who waits: so many at once in all, so many under one name, and names take turns.

What is counted by name cannot be taken from another name: whoever holds all that one name may hold keeps nobody else
waiting. Names that wait are served in turn, one at a time, so that a hundred questions of one come between two of another
only where nobody else asks.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from backend.errors import EndpointRejected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

LINE = 256
PATIENCE_S = (
    7.0  # for each of the two lines that a question may stand in: together less than the app waits for an answer
)


class Turns:
    """Lets so many in, and has the others wait in line, but not for ever.

    Args:
        each: Under one name at once.
        at_once: Of all names together; None for any number.
        line: So many may wait under one name; a further one is refused.
        patience_s: Seconds that one waits before it is refused.
    """

    def __init__(
        self, *, each: int, at_once: int | None = None, line: int = LINE, patience_s: float = PATIENCE_S
    ) -> None:
        self._each, self._at_once, self._line, self._patience_s = each, at_once, line, patience_s
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = (
            OrderedDict()
        )  # by name, whose turn is next first

    @asynccontextmanager
    async def turn(self, name: str, gone: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
        """Wait until it is one's turn, and hold it.

        Args:
            name: Who asks.
            gone: Returns once nobody waits for the answer any more; only run where there is something to wait for.

        Raises:
            EndpointRejected: ``busy``: the line is full, or the turn did not come in time; ``disconnected``.
        """
        if name not in self._waiting and self._has_room(name):
            self._held[name] += 1
        else:
            await self._wait(name, gone)
        try:
            yield
        finally:
            self._give_back(name)

    async def _wait(self, name: str, gone: Callable[[], Coroutine[None, None, None]]) -> None:
        if len(self._waiting.get(name, ())) >= self._line:
            raise _busy("Too many requests are already waiting.")
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, deque()).append(mine)
        watch = asyncio.create_task(gone())
        try:
            await asyncio.wait({mine, watch}, timeout=self._patience_s, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            self._leave(name, mine)
            raise
        finally:
            watch.cancel()
        if not mine.done():
            self._leave(name, mine)
            raise disconnected() if watch.done() else _busy("The request waited too long for its turn.")

    def _leave(self, name: str, mine: asyncio.Future[None]) -> None:
        """Leave the line, or give back the turn that came in the very moment of leaving."""
        if mine.done():
            self._give_back(name)
            return
        self._waiting[name].remove(mine)
        if not self._waiting[name]:
            del self._waiting[name]

    def _give_back(self, name: str) -> None:
        self._held[name] -= 1
        if not self._held[name]:
            del self._held[name]
        while (following := next((one for one in self._waiting if self._has_room(one)), None)) is not None:
            line = self._waiting.pop(following)
            line.popleft().set_result(None)
            self._held[following] += 1
            if line:
                self._waiting[following] = line  # behind all others

    def _has_room(self, name: str) -> bool:
        has_room_at_all = self._at_once is None or self._held.total() < self._at_once
        return has_room_at_all and self._held[name] < self._each


def disconnected() -> EndpointRejected:
    """Whoever asked has hung up."""
    return EndpointRejected("The connection ended.", code="disconnected", status=400)


def _busy(message: str) -> EndpointRejected:
    return EndpointRejected(message, code="busy", status=503, next_step="Try again soon.")
