"""What the door of the sign-in goes by, and the cookies that it reads and sets."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote

from starlette.requests import cookie_parser

from backend.access.use_case import DONE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.responses import Response
    from starlette.types import Scope

    from backend.access.asking import Journal
    from backend.access.person import Person
    from backend.access.sign_ins import Entry, SignIns

_LONGEST_LINK, _LINK_KEPT_S = 1500, 600
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Provider:
    """What the sign-in at an OpenID Connect provider needs of the app.

    Attributes:
        begin: Returns the absolute URL to open in order to sign in.
        claims: Returns the claims that the app's own callback put into cookies; None where there are none.
        accepted: Returns name and role of whom claims are about; the role is empty where the list of people decides.
            Raises AccessDenied.
    """

    begin: Callable[[], str]
    claims: Callable[[Mapping[str, str]], Mapping[str, Any] | None]
    accepted: Callable[[Mapping[str, Any]], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Entrance:
    """What the door goes by.

    Attributes:
        sign_ins: Addresses and sessions.
        journal: Where it is written down who signed in and out.
        person: Returns who an entry stands for now, asking from an address; None for somebody who was removed.
        cookie: Name of the session's cookie.
        hours: How long a session lasts.
        root: Path that the app is below, or empty.
        farewell: What a web socket sends to have its page leave for the sign-in.
        provider: None where one-time addresses are opened.
    """

    sign_ins: SignIns
    journal: Journal
    person: Callable[[Entry, str], Person | None]
    cookie: str
    hours: float
    root: str
    farewell: bytes
    provider: Provider | None = None

    def path(self, scope: Scope) -> str:
        """Return the path of a request, from the app's root."""
        path = str(scope["path"])
        return path[len(self.root) :] if path.startswith(f"{self.root}/") else path

    def visitor(self, scope: Scope) -> Person | None:
        """Return who has the session that a request's cookies name; None where nobody has."""
        return self._person(self.session(scope), scope)

    def session(self, scope: Scope) -> str:
        """Return the secret of a request's session, empty where there is none."""
        return _cookies(scope).get(self.cookie, "")

    def begin(self, response: Response, scope: Scope, name: str, role: str, samesite: Literal["lax", "strict"]) -> None:
        """Begin a session, and have an answer set its cookie; one that the browser had before is over."""
        if before := self.session(scope):
            self.sign_ins.end(before)
        secret = self.sign_ins.begin(name, role, self.hours).reveal()
        self._write_down(secret, scope, "app.sign_in")
        self._set(response, self.cookie, secret, int(self.hours * 3600), samesite)
        self._set(response, self._link, "", 0, "lax")

    def end(self, response: Response, scope: Scope) -> None:
        """End the session of a request, and have an answer remove its cookie."""
        if secret := self.session(scope):
            self._write_down(secret, scope, "app.sign_out")
            self.sign_ins.end(secret)
            self._set(response, self.cookie, "", 0, "lax")

    def remember_link(self, response: Response, scope: Scope) -> None:
        """Remember the page that was opened before the sign-in, for after it."""
        query = scope["query_string"].decode("latin-1")
        link = scope["path"] + (f"?{query}" if query else "")
        if scope["method"] == "GET" and self.path(scope) != "/" and len(link) <= _LONGEST_LINK:
            self._set(response, self._link, quote(link, safe=""), _LINK_KEPT_S, "lax")

    def destination(self, scope: Scope) -> str:
        """Return the page that was opened before the sign-in, or the first one; a page of this app in any case."""
        link = unquote(_cookies(scope).get(self._link, ""))
        is_ours = link.startswith(f"{self.root}/") and not link.startswith("//")
        is_plain = link.isascii() and link.isprintable() and "\\" not in link
        return link if is_ours and is_plain else f"{self.root}/"

    def _person(self, secret: str, scope: Scope) -> Person | None:
        found = self.sign_ins.find(secret)
        return None if found is None else self.person(found, (scope.get("client") or ("",))[0])

    def _write_down(self, secret: str, scope: Scope, action: str) -> None:
        if (person := self._person(secret, scope)) is not None:
            self.journal.write(person, action, "", DONE)

    @property
    def _link(self) -> str:
        return f"{self.cookie}-link"

    def _set(self, response: Response, name: str, value: str, lasts_s: int, samesite: Literal["lax", "strict"]) -> None:
        path = self.root or "/"
        response.set_cookie(name, value, max_age=lasts_s, path=path, httponly=True, samesite=samesite)


def _cookies(scope: Scope) -> dict[str, str]:
    return cookie_parser("; ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"))


def set_cookies(headers: Headers) -> Headers:
    """Return the headers of an answer that set cookies."""
    return [(name, value) for name, value in headers if name.lower() == b"set-cookie"]


def cookies_set(headers: Headers) -> dict[str, str]:
    """Return the cookies that an answer sets, without those that it removes."""
    lines = [SimpleCookie(value.decode("latin-1")) for _, value in set_cookies(headers)]
    return {name: one.value for line in lines for name, one in line.items() if one.value}
