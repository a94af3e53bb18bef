"""What cuts exchanges that take too long, whatever they are waiting for."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOOK_S = 0.1


class Watch:
    """Cuts exchanges that take too long; one thread for all of a fetch, which ends with :meth:`close`."""

    def __init__(self) -> None:
        self._due: dict[int, tuple[float, Callable[[], None]]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="fetch-watch", daemon=True)
        self._thread.start()

    @contextmanager
    def until(self, deadline: float, cut: Callable[[], None]) -> Iterator[None]:
        """Call ``cut`` if the block goes on after ``deadline``, in seconds of ``time.monotonic``."""
        key = threading.get_ident()
        self._due[key] = (deadline, cut)
        try:
            yield
        finally:
            self._due.pop(key, None)

    def cut_all(self) -> None:
        """Cut whatever is under way."""
        for _, cut in list(self._due.values()):
            cut()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_S):
            now = time.monotonic()
            for deadline, cut in list(self._due.values()):
                if now > deadline:
                    cut()
