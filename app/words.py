"""Figures, times and foreign text as a user reads them."""

from __future__ import annotations

import re
import time
from datetime import datetime

FEW_SECONDS = 9.95  # up to which tenths are worth reading
MINUTE = 60
HOUR = 3600
DAY = 86400
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-!|<>$:~^=&@])")


def plain(text: str) -> str:
    """Escape text for Markdown, so that nothing in it is read as markup; `code` between backticks stays code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a lone backtick: no code in it
        return _MARKDOWN.sub(r"\\\1", text)
    return "`".join(part if i % 2 else _MARKDOWN.sub(r"\\\1", part) for i, part in enumerate(parts))


def duration(seconds: float) -> str:
    """Say a span of time in one or two units: ``340 ms``, ``4.2 s``, ``18 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < FEW_SECONDS:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def ago(epoch_s: float, *, now: float | None = None) -> str:
    """Say how long ago a moment was, coarsely."""
    passed = max((time.time() if now is None else now) - epoch_s, 0.0)
    if passed < MINUTE:
        return "just now"
    if passed < HOUR:
        return f"{passed // MINUTE:.0f} min ago"
    return f"{passed // HOUR:.0f} h ago" if passed < DAY else f"on {local(epoch_s):%-d %B}"


def local(epoch_s: float) -> datetime:
    """Return a moment as local time, for tables."""
    return datetime.fromtimestamp(epoch_s).astimezone()


def moment(iso: str) -> str:
    """Say an ISO time as day, month, year and minute in local time; text that is no time comes back as it is."""
    try:
        return f"{datetime.fromisoformat(iso).astimezone():%-d %b %Y, %H:%M}"
    except ValueError:
        return iso


def count(number: float, noun: str = "", plural: str = "") -> str:
    """Say a number with thousands separated, and a noun in the right number behind it."""
    word = noun if number == 1 else plural or (f"{noun}s" if noun else "")
    return f"{number:,.0f} {word}".strip()


def percent(share: float, *, digits: int = 0) -> str:
    """Say a fraction as per cent."""
    return f"{share:.{digits}%}"


def size(n_bytes: float) -> str:
    """Say a number of bytes in kB, MB or GB."""
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"
