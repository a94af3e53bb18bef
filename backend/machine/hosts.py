"""Which host names the servers answer to: this machine's own, and those of a setting."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backend.errors import SettingsError
from backend.errors.addresses import LOOPBACK, is_address, is_loopback_host

if TYPE_CHECKING:
    from backend.settings import Settings

LOOPBACK_NAMES = frozenset({"localhost", LOOPBACK, "[::1]"})
_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]{0,252}[a-z0-9_])?|\[[0-9a-f:.]+\]")
_NAME_AND_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/@\s]+?)\.?(?::\d{0,5})?")


def added_hosts(settings: Settings) -> frozenset[str]:
    """The names that the setting adds, in lower case.

    Raises:
        SettingsError: It holds something else.
    """
    names = frozenset(name.strip().lower() for name in settings.allowed_hosts.split(",") if name.strip())
    if wrong := sorted(name for name in names if not _NAME.fullmatch(name)):
        raise SettingsError(
            f"TWINSET_ALLOWED_HOSTS contains {wrong[0]!r}, which is not a host name.",
            next_step="Use names such as twinset.example, without a scheme, a port or *, separated by commas.",
        )
    return names


def local_hosts(settings: Settings) -> frozenset[str]:
    """What MLflow answers to: it listens on loopback, and is reached by other names only on purpose."""
    return LOOPBACK_NAMES | added_hosts(settings)


def endpoint_hosts(settings: Settings) -> frozenset[str]:
    """What the endpoint answers to: on an open address this machine's own names, too."""
    return local_hosts(settings) | _own_names(settings.host)


def app_hosts(settings: Settings) -> frozenset[str]:
    """What the app answers to: as the endpoint, on its own address, and the name in the URL that users open."""
    return local_hosts(settings) | _own_names(settings.app_host) | app_origins(settings)


def app_origins(settings: Settings) -> frozenset[str]:
    """Names of a proxy in front of the app."""
    name = urlsplit(settings.app_url).hostname
    return added_hosts(settings) | ({name} if name else set())


def _own_names(host: str) -> frozenset[str]:
    own = () if is_loopback_host(host) else (socket.gethostname(), socket.getfqdn())
    return frozenset(name.lower() for name in (host, *own))


def is_known(host: str, hosts: frozenset[str], *, addresses: bool = False) -> bool:
    """Tell whether a host, with its port or without, is on a list.

    Args:
        host: As the header or an origin has it.
        hosts: The list, in lower case; IPv6 addresses in brackets.
        addresses: Whether any IP address will do as well: a name can be made to mean this machine, an address cannot.
    """
    found = _NAME_AND_PORT.fullmatch(host.lower())
    return found is not None and (found[1] in hosts or (addresses and is_address(found[1])))
