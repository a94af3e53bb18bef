"""Sending one message to an address: its form, its patience, and never its address in a text."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import requests

from backend import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.settings import Settings

TIMEOUT_S = (3.0, 5.0)
_LONGEST_TEXT = 2_000
# A text from a catalogue must not call everybody in a room, or become a link.
_HARMLESS = str.maketrans({"<": "‹", ">": "›"}) | dict.fromkeys((*range(32), 127), " ")
State = Literal["problem", "recovered", "trial"]


@dataclass(frozen=True, slots=True)
class Target:
    """An address to send to; its path may be a secret, ``shown`` is without it, and ``key`` tells it from others."""

    url: str

    @property
    def key(self) -> str:
        """Return what names it in files."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:12]

    @property
    def shown(self) -> str:
        """Return what people read."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


@dataclass(frozen=True, slots=True)
class Message:
    """What is told; ``at`` in seconds since the epoch."""

    kind: str
    state: str
    key: str
    occurrence: str
    text: str
    at: float

    def body(self) -> dict[str, str]:
        """Return what is sent, as JSON values; docs/operations.md describes it."""
        about = {"problem": "", "recovered": "Recovered: ", "trial": "This is a trial. "}[self.state]
        name = hashlib.sha256(f"{self.key} {self.occurrence} {self.state}".encode()).hexdigest()[:16]
        return {
            "text": f"Twinset on {socket.gethostname()}: {about}{self.text}".translate(_HARMLESS)[:_LONGEST_TEXT],
            "kind": self.kind,
            "state": self.state,
            "about": self.key,
            "id": name,
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="seconds"),
            "version": __version__,
        }


def targets(settings: Settings) -> Sequence[Target]:
    """Return the addresses that alerts are sent to."""
    return [Target(url) for url in settings.alert_urls.reveal().split()]


def post(target: Target, message: Message) -> str:
    """Send a message, and return why it did not arrive; empty if it did."""
    try:
        with requests.post(
            target.url, json=message.body(), timeout=TIMEOUT_S, allow_redirects=False, stream=True
        ) as answer:
            return "" if 200 <= answer.status_code < 300 else f"It answered with status {answer.status_code}."
    except requests.Timeout:
        return f"It did not answer within {TIMEOUT_S[1]:g} s."
    except (requests.RequestException, OSError):  # whose text may hold the address
        return "It cannot be reached."
