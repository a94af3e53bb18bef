"""Which hosts may be asked, and which addresses a connection may be made to: looked up once, checked, and then used.

A host name is its owner's to point anywhere, at this machine, too. So a name is resolved once, every answer is looked at,
and the connection is made to an answer that passed. What resolves and what dials are given at construction: tests put a
server of their own below the gate by that, and no setting, file or request can.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from backend.catalogue.fetch.address import parse
from backend.errors import CatalogueError, ImageRejected, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backend.catalogue.fetch.address import Address

OFF = "Fetching pictures from web addresses is turned off."
ASK = "Ask your Twinset administrator to allow the host."
TURN_ON = "Name the hosts to allow in the setting TWINSET_PICTURE_HOSTS, for example cdn.shop.example."
KEPT_S = 60.0  # that a checked answer is used for
# What ``is_global`` lets through, though it leads elsewhere: translated, tunnelled, or of the protocols' own.
_NEVER = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "192.0.0.0/24")))
_UNICAST = ipaddress.ip_network("2000::/3")  # all that was ever given out of IPv6; ::127.0.0.1 is outside of it


def is_public(text: str) -> bool:
    """Tell whether an IP address is one of the open network, in whatever spelling.

    Example:
        >>> [is_public(text) for text in ("93.184.216.34", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe")]
        [True, False, False, False]
    """
    try:
        found = ipaddress.ip_address(text)
    except ValueError:  # with a zone, or none at all
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found not in _UNICAST or found.is_site_local:
            return False
    return found.is_global and not found.is_multicast and not any(found in network for network in _NEVER)


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts that may be asked.

    Attributes:
        own: Patterns of the setting: a host's name, or ``*.suffix`` for all below it.
        confirmed: Names that a user confirmed; they are treated as other people's.
    """

    own: frozenset[str]
    confirmed: frozenset[str] = frozenset()

    @property
    def is_off(self) -> bool:
        """Whether nothing is fetched at all."""
        return not self.own

    def allow(self, host: str) -> bool:
        """Tell whether a host may be asked."""
        return not self.is_off and (self.is_own(host) or host in self.confirmed)

    def is_own(self, host: str) -> bool:
        """Tell whether the setting names a host: then the operator answers for it, and robots are not its concern."""
        parents = ("*." + host.split(".", parts)[-1] for parts in range(1, host.count(".") + 1))
        return host in self.own or any(parent in self.own for parent in parents)


def hosts_of(setting: str, confirmed: Iterable[str] = ()) -> Hosts:
    """Read the setting: names separated by commas or spaces.

    Raises:
        SettingsError: One is no host's name.
    """
    names = re.split(r"[,;\s]+", setting.strip()) if setting.strip() else []
    wrong = next((name for name in names if not _pattern(name)), None)
    if wrong is not None:
        raise SettingsError(
            f"TWINSET_PICTURE_HOSTS names {wrong!r}, which is no host.",
            next_step="Write names such as cdn.shop.example or *.shop.example, separated by commas.",
        )
    return Hosts(frozenset(map(_pattern, names)), frozenset(confirmed))


def parsed_hosts(names: Iterable[str]) -> list[str]:
    """Return hosts that a user names, each in its one spelling.

    Raises:
        CatalogueError: One is no host's name, or is not on the open network.
    """
    found = {name: _pattern(name) for name in names}
    for name, host in found.items():
        if not can_be_asked(host):
            raise CatalogueError(
                f"{name!r} is not a host that pictures can be fetched from.",
                next_step="Confirm hosts by name, for example cdn.shop.example.",
            )
    return list(found.values())


def can_be_asked(host: str) -> bool:
    """Tell whether a host could be confirmed: it is a name, or an address of the open network."""
    return bool(host) and "*" not in host and (not is_literal(host) or is_public(host))


def _pattern(text: str) -> str:
    """Return a host's name or pattern in its one spelling; empty where it is none."""
    name = text.removeprefix("*.")
    if set("/?#") & set(name):
        return ""
    try:
        host = parse(f"https://{name}/").host
    except ImageRejected:
        return ""
    return f"*.{host}" if text.startswith("*.") else host


def resolve(host: str, port: int) -> list[str]:
    """Ask the system for all addresses of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def dial(address: str, port: int, timeout_s: float) -> socket.socket:
    """Connect to an IP address."""
    return socket.create_connection((address, port), timeout=timeout_s)


@dataclass(frozen=True, slots=True)
class Network:
    """What is below the gate.

    Attributes:
        resolve: Gives all addresses of a host, as text.
        dial: Connects to one of them.
    """

    resolve: Callable[[str, int], list[str]] = resolve
    dial: Callable[[str, int, float], socket.socket] = dial


class Gate:
    """Lets addresses through, one by one; for any number of threads.

    Args:
        hosts: Which may be asked.
        network: What resolves names.
    """

    def __init__(self, hosts: Hosts, network: Network) -> None:
        self.hosts, self._network = hosts, network
        self._known: dict[tuple[str, int], tuple[float, tuple[str, ...]]] = {}
        self._lock = Lock()

    def passed(self, address: Address) -> tuple[str, ...]:
        """Return the IP addresses to connect to, the best first.

        Raises:
            ImageRejected: The host may not be asked, cannot be found, or leads inside.
        """
        if is_literal(address.host) and not is_public(address.host):
            raise _inside(address.host)
        self.check_host(address.host)
        key = (address.host, address.port)
        with self._lock:
            until, known = self._known.get(key, (0.0, ()))
        if time.monotonic() < until:
            return known
        chosen = self._resolved(address)
        with self._lock:
            self._known[key] = (time.monotonic() + KEPT_S, chosen)
        return chosen

    def check_host(self, host: str) -> None:
        """Refuse a host that nobody allowed.

        Raises:
            ImageRejected: It is one.
        """
        if self.hosts.is_off:
            raise ImageRejected(OFF, code="hosts_off", next_step=ASK)
        if not self.hosts.allow(host):
            raise ImageRejected(
                f"Pictures may not be fetched from {host}.",
                code="host_not_allowed",
                next_step=ASK,
            )

    def _resolved(self, address: Address) -> tuple[str, ...]:
        if is_literal(address.host):
            return (address.host,)
        try:
            answers = tuple(self._network.resolve(address.host, address.port))
        except (OSError, UnicodeError):
            answers = ()
        if not answers:
            raise ImageRejected(
                f"The host {address.host} cannot be found.", code="no_host", next_step="Check the address."
            )
        if not all(map(is_public, answers)):
            raise _inside(address.host)
        return answers


def is_literal(host: str) -> bool:
    """Tell whether a host is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _inside(host: str) -> ImageRejected:
    return ImageRejected(
        f"The host {host} leads to a machine that is not on the open network.",
        code="not_public",
        next_step="Put the pictures on a public host, or next to the table.",
    )
