"""Questions to an endpoint over HTTP: the token, the patience, and asking again where that does no harm."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from backend.access.logs import REQUEST_HEADER, new_request, request_id
from backend.errors import EndpointUnreachable
from backend.errors.addresses import is_loopback_host

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.settings import SecretStr

CONNECT_TIMEOUT_S = 3.0
BUSY = frozenset({429, 502, 503, 504})
LONGEST_WAIT_S = 5.0
_FIRST_WAIT_S = 0.2
_START_IT = "Start it with `make run` or `python -m backend serve`; it may still be starting."
_log = logging.getLogger(__name__)
_LOOK = "Check the address, and that the server is running."


class Transport:
    """One server, asked with a token over a connection that is kept.

    Args:
        url: Address of the server.
        token: Bearer token; empty sends none.
        timeout_s: Seconds to wait for an answer.
        retries: Times that a question without consequences is asked again when nobody is there, or all are busy. An
            answer that is late is not asked for again: that would only make a slow server slower.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        url: str,
        token: SecretStr,
        *,
        timeout_s: float,
        retries: int = 0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._timeout_s, self._retries, self._sleep = timeout_s, retries, sleep
        self._session = requests.Session()
        self._session.auth = _Bearer(token)  # set as auth, so that a .netrc file cannot replace it
        self._session.trust_env = not is_loopback(url)  # no proxy stands between us and ourselves

    def ask(self, method: str, path: str = "", *, again: bool = True, **options: Any) -> requests.Response:
        """Return what the server answers, whatever that is.

        Args:
            method: HTTP method.
            path: Below the server's address.
            again: Whether it may be asked more than once.
            options: As for ``requests.request``.

        Raises:
            EndpointUnreachable: It cannot be reached, or does not answer in time.
        """
        options.setdefault("timeout", (CONNECT_TIMEOUT_S, self._timeout_s))
        options["headers"] = {**options.get("headers", {}), REQUEST_HEADER: request_id() or new_request()}
        last = self._retries if again else 0
        for attempt in range(last + 1):
            try:
                response = self._session.request(method, self.url + path, allow_redirects=False, **options)
            except requests.Timeout as error:
                raise self._unreachable(f"The endpoint at {self.url} did not answer in time.") from error
            except requests.ConnectionError as error:
                if attempt == last:
                    raise self._unreachable(f"Cannot reach {self.url}.") from error
                self._sleep(_FIRST_WAIT_S * 2**attempt)
                continue
            except requests.RequestException as error:
                raise self._unreachable(f"Cannot reach {self.url}.") from error
            wait_s = _wait_s(response, attempt)
            if attempt == last or wait_s is None:
                break
            self._sleep(wait_s)
        _log.log(logging.DEBUG if method == "GET" else logging.INFO, "%s %s %s", method, path, response.status_code)
        return response

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def _unreachable(self, message: str) -> EndpointUnreachable:
        return EndpointUnreachable(message, next_step=_START_IT if is_loopback(self.url) else _LOOK)


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own."""
    return is_loopback_host(urlsplit(url).hostname or "")


def _wait_s(response: requests.Response, attempt: int) -> float | None:
    """Return how long to wait before asking again; None where that would not help."""
    if response.status_code not in BUSY or b'"no_model"' in response.content:
        return None
    asked = response.headers.get("Retry-After", "")
    wait_s = float(asked) if asked.isdecimal() else _FIRST_WAIT_S * 2**attempt
    return wait_s if wait_s <= LONGEST_WAIT_S else None


class _Bearer(AuthBase):
    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request
