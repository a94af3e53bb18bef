"""Addresses of servers and stores: how they are reached, and the one way in which they are shown.

Whatever a person or a log reads of an address goes through :func:`shown`: messages of errors, lines of logs, settings.
"""

from __future__ import annotations

import ipaddress
import re
import socket

LOOPBACK = "127.0.0.1"
_EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "[::1]"}  # noqa: S104 - compared, not bound
_HIDDEN = "***"
# Lengths are bounded, so that a long hostile text takes no longer than its length.
_USER = re.compile(r"(?<=://)[^\s/@:]{0,256}(?::[^\s@]{0,256})?@")
_HIDING = r"password|passwd|pwd|secret|token|access.?key|account.?key|signature|credential"
_FIELD = re.compile(
    rf"(?i)((?:[?&][\w.-]{{0,64}}(?:key|sig)|(?:^|[?&;\s])[\w.-]{{0,64}}(?:{_HIDING})[\w.-]{{0,64}})=)[^&;\s'\"]+"
)


def shown(text: str) -> str:
    """Return an address, or a text with addresses and settings in it, without user names, passwords and keys."""
    if "://" not in text and "=" not in text:
        return text
    return _FIELD.sub(rf"\1{_HIDDEN}", _USER.sub("", text))


def connectable(host: str) -> str:
    """Return the address to reach a server at, IPv6 in brackets: one bound to every address is reached on loopback."""
    found = _EVERYWHERE.get(host, host)
    return f"[{found}]" if ":" in found and not found.startswith("[") else found


def is_loopback_host(host: str) -> bool:
    """Tell whether a host, an address or a name, can only be this machine."""
    return ipaddress.ip_address(host.strip("[]")).is_loopback if is_address(host) else host.lower() == "localhost"


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, be it in brackets."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def port_in_use(host: str, port: int) -> bool:
    """Tell whether the port cannot be bound; port 0 is always free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False
