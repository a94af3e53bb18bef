"""Clients that ask an endpoint at once, over connections that are kept, and remember every answer."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from backend.settings import SecretStr


class Asker:
    """One client with one connection.

    Args:
        url: Address of the server.
        token: Sent with every question; None sends none.
        timeout_s: Seconds to wait for an answer.
    """

    def __init__(self, url: str, token: SecretStr | None = None, *, timeout_s: float = 60.0) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        self._headers = {"Authorization": f"Bearer {token.reveal()}"} if token is not None else {}

    def post(self, path: str, body: bytes, media_type: str = "application/octet-stream") -> tuple[float, int, bytes]:
        """Ask once; returns seconds, status and body."""
        started = time.perf_counter()
        self._connection.request("POST", path, body, {**self._headers, "Content-Type": media_type})
        response = self._connection.getresponse()
        data = response.read()
        return time.perf_counter() - started, response.status, data

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Crowd:
    """What came of many who ask at once: seconds of every answer, how many were refused, how many got none in time."""

    seconds: tuple[float, ...]
    refused: int
    hung: int


def ask_at_once(url: str, tokens: Sequence[SecretStr], photos: Sequence[bytes], *, clients: int, each: int) -> Crowd:
    """Have many clients, that have the tokens in turn, ask at once, and again as soon as they are answered."""
    start = threading.Barrier(clients)
    outcomes: list[tuple[int, float]] = []

    def client(number: int) -> None:
        asker = Asker(url, tokens[number % len(tokens)])
        start.wait()
        for turn in range(each):
            try:
                seconds, status, _ = asker.post("/v1/recommend?k=10", photos[(number + turn) % len(photos)])
            except (OSError, http.client.HTTPException):
                seconds, status = 0.0, 0
            outcomes.append((status, seconds))
        asker.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answered = tuple(seconds for status, seconds in outcomes if status == HTTPStatus.OK)
    hung = sum(status == 0 for status, _ in outcomes)
    return Crowd(answered, len(outcomes) - len(answered) - hung, hung)


@contextmanager
def unfinished_bodies(url: str, token: SecretStr, count: int) -> Iterator[None]:
    """Hold connections on which a question was begun, and never ends."""
    parts = urlsplit(url)
    head = f"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token.reveal()}\r\n"
    with ExitStack() as held:
        for _ in range(count):
            one = held.enter_context(socket.create_connection((parts.hostname or "", parts.port or 80)))
            one.sendall(f"{head}Content-Length: 1000\r\n\r\na".encode())
        yield


@dataclass(frozen=True, slots=True)
class Promoted:
    """What came of a storm of questions while versions changed; ``wrong`` says of each bad answer what was bad."""

    answered: int
    promotions: int
    by_version: dict[int, int]
    wrong: tuple[str, ...]


def ask_while_promoting(storm: Storm, change: Callable[[int], None], *, promotions: int, clients: int = 4) -> Promoted:
    """Have clients ask until all queries are answered, and change the version at even distances meanwhile.

    Args:
        storm: What is asked, and what is right.
        change: Makes the version that follows answer; given the number of the promotion, starting at 0.
        promotions: How many.
        clients: How many ask at once.
    """
    threads = [threading.Thread(target=storm.ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for number in range(promotions):
        storm.await_answers(storm.queries * number // promotions)
        change(number)
    for thread in threads:
        thread.join()
    return Promoted(storm.answered, promotions, dict(storm.by_version), tuple(storm.wrong))


class Storm:
    """Questions from several clients, each answer held against what the version that it names answers.

    Args:
        url: Address of the endpoint.
        token: For asking.
        photos: Asked in turn.
        expected: By version, the ids that it answers to each photo; an answer is right if it is exactly that.
        queries: Questions in all.
    """

    def __init__(
        self,
        url: str,
        token: SecretStr,
        photos: Sequence[bytes],
        expected: Mapping[int, Sequence[Sequence[str]]],
        *,
        queries: int,
    ) -> None:
        self._url, self._token, self._photos, self._expected = url, token, photos, expected
        self.queries, self.answered = queries, 0
        self.by_version: Counter[int] = Counter()
        self.wrong: list[str] = []
        self._numbers = iter(range(queries))
        self._changed = threading.Condition()

    def ask(self) -> None:
        """Ask until all questions are asked; run by every client."""
        asker = Asker(self._url, self._token)
        try:
            while (number := self._next()) is not None:
                self._note(number, *self._answer(asker, number % len(self._photos)))
        finally:
            asker.close()

    def await_answers(self, count: int) -> None:
        """Wait until so many questions are answered."""
        with self._changed:
            self._changed.wait_for(lambda: self.answered >= count)

    def _next(self) -> int | None:
        with self._changed:
            return next(self._numbers, None)

    def _note(self, number: int, problem: str, version: int) -> None:
        with self._changed:
            self.answered += 1
            if problem:
                self.wrong.append(f"query {number}: {problem}")
            else:
                self.by_version[version] += 1
            self._changed.notify_all()

    def _answer(self, asker: Asker, at: int) -> tuple[str, int]:
        """Ask once; returns what is wrong with the answer, or nothing, and the version that gave it."""
        try:
            return _problem(asker, self._photos[at], at, self._expected)
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}", 0


def _problem(asker: Asker, photo: bytes, at: int, expected: Mapping[int, Sequence[Sequence[str]]]) -> tuple[str, int]:
    k = len(next(iter(expected.values()))[at])
    _, status, data = asker.post(f"/v1/recommend?k={k}&include_images=false", photo)
    if status != 200:
        return f"status {status}: {data[:200]!r}", 0
    body: dict[str, Any] = json.loads(data)
    version = body["model"]["version"]
    ids = [one["product_id"] for one in body["neighbours"]]
    if version not in expected:
        return f"version {version} was never promoted", 0
    if ids != list(expected[version][at]):
        return f"version {version} answered {ids}", 0
    return "", version
