"""What other people's hosts allow: ``robots.txt``, and the header that keeps pictures out of learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protego import Protego

from backend.catalogue.fetch.exchange import AGENT
from backend.errors import ImageRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

Rules = Protego | ImageRejected
PATH = "/robots.txt"
_MOST_BYTES = 500_000  # that RFC 9309 has a reader take
_KEPT_OUT = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
_ASK = "Ask the owner of the host, or put the pictures next to the table."


def rules_of(status: int, body: bytes) -> Rules:
    """Read the answer to ``robots.txt`` as RFC 9309 says: without one all is allowed, of one that fails nothing."""
    if status >= 500 or status == 429:
        return ImageRejected("The host's robots.txt cannot be read now.", code="robots", next_step="Try again later.")
    text = body[:_MOST_BYTES].decode("utf-8", "replace") if status == 200 else ""
    return Protego.parse(text)


def check_rules(rules: Rules, url: str) -> None:
    """Refuse an address that the host's rules keep out.

    Raises:
        ImageRejected: They do.
    """
    if isinstance(rules, ImageRejected):
        raise rules
    if not rules.can_fetch(url, AGENT):
        raise ImageRejected("The host's robots.txt does not allow it.", code="robots", next_step=_ASK)


def delay_of(rules: Rules) -> float:
    """Return the seconds that a host wants between two questions."""
    return 0.0 if isinstance(rules, ImageRejected) else float(rules.crawl_delay(AGENT) or 0.0)


def check_header(headers: Mapping[str, str]) -> None:
    """Refuse a picture whose owner keeps it out of collections and of learning.

    Raises:
        ImageRejected: The header ``X-Robots-Tag`` says so, to all or to us.
    """
    agent = ""
    for said in headers.get("X-Robots-Tag", "").lower().split(","):
        named, colon, words = said.rpartition(":")
        agent = named.strip() if colon else agent  # what follows an agent's name is said to it alone
        if agent in {"", AGENT.lower()} and words.strip() in _KEPT_OUT:
            raise ImageRejected(
                f"Its owner keeps it out of collections (X-Robots-Tag: {words.strip()}).", code="robots", next_step=_ASK
            )
