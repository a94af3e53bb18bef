"""Addresses as feeds write them, made the ones that are connected to; what cannot be one, or tells a secret, is refused.

Parsers differ over what a host is, and attacks live in the difference: so a host is only what is left after IDNA in the
letters of a host name, or a full IP address in its usual spelling.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from backend.errors import ImageRejected

LONGEST = 4096  # letters; browsers and servers take fewer
DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_LOOSE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AS_THEY_ARE = "/%:@!$&'()*+,;=-._~"  # in a path; what is escaped already stays so
_ASK = "Correct the address in the table."


class Address(NamedTuple):
    """Where a picture is.

    Attributes:
        scheme: http or https.
        host: In the letters of a host name, lower case; an IPv6 address without brackets.
        port: Number of it.
        target: Path and query, percent-encoded.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, as one text; without the port where it is the usual one."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """What the header ``Host`` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole address, in its one spelling."""
        return self.origin + self.target


def parse(text: str, base: Address | None = None) -> Address:
    """Read an address.

    Args:
        text: As the table, or a redirect, has it.
        base: What it is relative to; without one ``//host/…`` is https, and a mere path none at all.

    Raises:
        ImageRejected: It is none, is of another scheme, or has a password in it, which is then not repeated.
    """
    plain = text.strip()
    if len(plain) > LONGEST or _CONTROL.search(plain):
        raise _refused("bad_address", "This is not a web address that can be used.")
    if plain.startswith("//"):
        plain = f"{base.scheme if base else 'https'}:{plain}"
    try:
        parts = urlsplit(urljoin(base.url, plain) if base and not _SCHEME.match(plain) else plain)
        port = parts.port
    except ValueError:
        raise _refused("bad_address", "This is not a web address that can be used.") from None
    if "@" in parts.netloc:
        raise _refused("password", "The address has a user name or password in it, which is never sent.")
    if parts.scheme not in DEFAULT_PORTS:
        raise _refused("bad_scheme", "Pictures are fetched from http and https addresses only.")
    scheme, host = parts.scheme, _host(parts.netloc, parts.hostname or "")
    target = _escaped(parts.path or "/") + (f"?{_escaped(parts.query, more='?')}" if parts.query else "")
    return Address(scheme, host, DEFAULT_PORTS[scheme] if port is None else port, target)


def shown(text: str) -> str:
    """Return an address as it may be kept and shown: without a password, and not endless.

    Example:
        >>> shown("https://user:secret@a.example/1.jpg")
        'https://***@a.example/1.jpg'
    """
    head, marks, rest = text.strip().partition("//")
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    secret, at, _ = authority.rpartition("@")
    clean = f"{head}{marks}***{rest[len(secret) :]}" if at else text.strip()
    return clean[:LONGEST]


def _host(netloc: str, name: str) -> str:
    if "[" in netloc:
        return _literal(name)
    try:
        host = name.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise _refused("bad_host", "The address names a host that cannot exist.") from None
    labels = host.split(".")
    if not host or len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused("bad_host", "The address names a host that cannot exist.")
    # 2130706433, 0x7f.1 and 127.1 are 127.0.0.1 to a resolver: only four plain numbers are taken.
    return _literal(host) if _NUMBER.fullmatch(labels[-1]) else host


def _literal(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host)) if "%" not in host else str(ipaddress.IPv4Address(host))
    except ValueError:
        raise _refused("bad_host", "The address names a host by a number that is no plain IP address.") from None


def _escaped(text: str, *, more: str = "") -> str:
    return quote(_LOOSE_PERCENT.sub("%25", text), safe=_AS_THEY_ARE + more)


def _refused(code: str, sentence: str) -> ImageRejected:
    return ImageRejected(sentence, code=code, next_step=_ASK)
