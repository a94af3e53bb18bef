"""One connection before there is a request: what may arrive, for how long, and what happens to the rest.

uvicorn sets no limit on the bytes of a header or on the time it takes, and never closes a connection whose client stays
silent in the midst of one. Here both are limited, before any token is looked at.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from backend.errors import EndpointRejected
from backend.serving.guard import HEADERS, error_response

if TYPE_CHECKING:
    import asyncio

HEADER_BYTES = 64_000
WITHIN_S = 10.0  # for a whole header, for the rest of a body that is not needed, and for a client to take its answer
_TO_READ_S = 1.0  # that a refused client has for reading why
_STEP = "Send the whole header at once, with only the fields that docs/reference/endpoint.md lists."
_log = logging.getLogger(__name__)


class Connection(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn reads it, within limits.

    The timer runs whenever the client is to send or to take something and no request is under way: from the connection
    to the end of the first header, and from each answer to the end of the next one. What a request's own body may take,
    the guard says.
    """

    _timer: asyncio.TimerHandle | None = None
    _silent_bytes = 0  # that came since a header began, or since there was something of a body
    _untaken_bytes = 0  # of answers, when the timer last ran out
    _is_in_header = _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a header."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        """Read on, in pieces that cannot hold more than a header may have left."""
        while data and not self._is_refused and self.parser is not None:
            room = HEADER_BYTES - self._silent_bytes
            self._silent_bytes += len(data[:room])
            super().data_received(data[:room])
            data = data[room:]
            if self._silent_bytes >= HEADER_BYTES:
                message = f"The header is larger than {HEADER_BYTES // 1000} kB."
                self._refuse("header_too_large", message, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Note that a header begins."""
        super().on_message_begin()
        self._is_in_header = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a line of the header; those that may follow a body nobody reads."""
        if self._is_in_header:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request on."""
        self._silent_bytes, self._is_in_header = 0, False
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body."""
        self._silent_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        self._silent_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin to wait for the next header, once the rest of this request has come, and its answer was taken."""
        super().on_response_complete()
        if not self.pipeline:
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse("bad_request", msg, HTTPStatus.BAD_REQUEST)

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(_TO_READ_S if self._is_refused else WITHIN_S, self._on_time_over)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time_over(self) -> None:
        untaken = self.transport.get_write_buffer_size()
        if untaken and untaken != self._untaken_bytes:  # slow, but getting on
            self._untaken_bytes = untaken
            self._wait()
        elif untaken:
            self.transport.abort()  # to close would be to wait for the client
        elif self._is_in_header and not self._is_refused:
            self._refuse("slow_request", f"The header took longer than {WITHIN_S:g} s.", HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _refuse(self, code: str, message: str, status: HTTPStatus) -> None:
        """Say why, and close; before that, a client that still sends must get to read it."""
        self._is_refused = True
        _log.info("%s refused: %s", self.client[0] if self.client else "-", message)
        is_under_way = self.cycle is not None and not self.cycle.response_complete
        if not (is_under_way and self.cycle.response_started):
            answer = error_response(EndpointRejected(message, code=code, status=status, next_step=_STEP))
            lines = (b"%s: %s\r\n" % pair for pair in (*answer.raw_headers, *HEADERS, CLOSE_HEADER))
            self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", bytes(answer.body))))
        self._wait()
        if is_under_way:
            self.transport.close()
        else:
            self.flow.pause_reading()
