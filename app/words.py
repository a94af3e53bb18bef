"""Figures, times and foreign text as a user reads them."""

from __future__ import annotations

import re
import time
from datetime import datetime

FEW_SECONDS = 9.95  # up to which tenths are worth reading
MINUTE = 60
HOUR = 3600
DAY = 86400
# Why a product was rejected, by the first word of the reason.
_REASONS = {
    "address": "Picture on the web",
    "bad_base64": "Damaged picture",
    "bad_name": "Unreadable file name",
    "bad_path": "Wrong path",
    "bad_price": "Wrong price",
    "bad_row": "Unreadable row",
    "bad_stock": "Wrong stock",
    "damaged": "Damaged picture",
    "duplicate_id": "Duplicate id",
    "empty": "Empty file",
    "encrypted": "Locked with a password",
    "long_id": "Product id too long",
    "no_id": "No product id",
    "no_picture": "No picture",
    "not_an_image": "Not a picture",
    "not_fetched": "Not fetched yet",
    "placeholder": "Placeholder picture",
    "outside": "Outside the folder",
    "too_large": "File too large",
    "too_many_pixels": "Too many pixels",
    "too_small": "Picture too small",
    "unreadable": "Unreadable file",
    # Why a picture could not be fetched.
    "bad_address": "Wrong address",
    "bad_host": "Wrong address",
    "bad_scheme": "Wrong address",
    "busy": "Server busy",
    "certificate": "Certificate refused",
    "encoded": "Not sent as a picture",
    "forbidden": "Not handed out",
    "gone": "Gone for good",
    "host_busy": "Server busy",
    "host_down": "Server not working",
    "host_not_allowed": "Host not allowed",
    "html": "Web page instead of a picture",
    "http_status": "Unexpected answer",
    "no_host": "Host not found",
    "not_found": "Not found",
    "not_public": "Not on the open network",
    "password": "Password in the address",
    "redirects": "Too many redirects",
    "robots": "Not allowed by its owner",
    "svg": "Drawing, not a photo",
    "too_slow": "Took too long",
    "unreachable": "Server not reachable",
}
_MARKUP = re.compile(
    r"(?P<word>https?(?=://)|www(?=\.)|:(?=[\w+/-]+:)|\w(?=@[\w-]+\.[\w-]))|(?P<sign>[\\`*_{}\[\]()#+\-!|<>$:~^=&@])"
    r"|(?P<number>^\d+)(?=\.(?:\s|$))",
    re.IGNORECASE,
)
_APART = ":small[]"  # nothing, small: what stands on both sides of it is never read as one word
_CODE = re.compile(r"(?<!`)`([^`\n]*[^`\s][^`\n]*)`(?!`)")
# Letters that turn the order of all that follows them on the line, which may be ours.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Escape text for Markdown: it is shown letter by letter, on one line, and becomes no link, picture, sign or code.

    A backslash is not enough: addresses, arrows and icons are looked for in what is left when Markdown has been read.
    """
    return _escape(text).strip()


def _escape(text: str) -> str:
    return _MARKUP.sub(_escaped, re.sub(r"\s+", " ", _TURNING.sub("", text)))


def _escaped(found: re.Match[str]) -> str:
    letters = found[0]
    if found["number"]:
        return f"{letters}{_APART}"
    if found["word"]:
        return (f"\\{letters}" if letters == ":" else letters) + _APART
    is_pair = letters in "-<>=~" and found.string[found.end() : found.end() + 1] in tuple("-<>=")
    return f"\\{letters}{_APART}" if is_pair else f"\\{letters}"


def prose(text: str) -> str:
    """Escape sentences of ours, which may quote foreign text; paragraphs and, on one line, ``code`` in backticks stay."""
    paragraphs = ([*_CODE.split(part)] for part in re.split(r"\n\s*\n", text.strip()))
    return "\n\n".join("".join(f"`{p}`" if at % 2 else _escape(p) for at, p in enumerate(ps)) for ps in paragraphs)


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


def local_iso(iso: str) -> datetime:
    """Return an ISO time as local time, for tables."""
    return datetime.fromisoformat(iso).astimezone()


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


def left_out(products: int) -> list[str]:
    """Say how many products were left out because of their pictures; nothing where none was."""
    if products == 1:
        return ["1 product was left out: its picture cannot be read."]
    return [f"{products:,} products were left out: their pictures cannot be read."] if products else []


def percent(share: float, *, digits: int = 0) -> str:
    """Say a fraction as per cent."""
    return f"{share:.{digits}%}"


def label(name: str) -> str:
    """Say a label; a product without one says so."""
    return name or "No label"


def from_id(product_id: str) -> str:
    """Make a name of a product id: of one that is a path or the name of a picture file, its words.

    Example:
        >>> from_id("summer/red_dress-02.JPG")
        'Red dress 02'
    """
    name = re.sub(r"\.[A-Za-z]{3,5}$", "", re.split(r"[/\\]", product_id.rstrip("/\\"))[-1])
    tidy = re.sub(r"[\s_\-]+", " ", name).strip()
    return f"{tidy[:1].upper()}{tidy[1:]}" or product_id


def reason(code: str) -> str:
    """Say in two or three words why products were rejected, by the first word of their reason."""
    return _REASONS.get(code, code.replace("_", " ").capitalize())


def sentence(reason: str) -> str:
    """Return the sentence of a reason, which follows its first word."""
    code, _, told = reason.partition(":")
    return told.strip() or code


def size(n_bytes: float) -> str:
    """Say a number of bytes in kB, MB or GB."""
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"


def rate_titles(k: int) -> dict[str, str]:
    """Return the rates of retrieval as people read them, by name and in order of weight; k neighbours are counted."""
    return {
        "precision_at_1": "Precision@1",
        "precision_at_k": f"Precision@{k}",
        "hit_rate_at_k": f"Hit rate@{k}",
        "r_precision": "R-precision",
        "map_at_r": "MAP@R",
    }


def rate_help(k: int) -> dict[str, str]:
    """Return what each rate means, by name."""
    return {
        "precision_at_1": "How often the nearest product has the right label.",
        "precision_at_k": f"The share of the {k} nearest products that have the right label.",
        "hit_rate_at_k": f"How often at least one of the {k} nearest products has the right label.",
        "r_precision": "The share of right labels among the R nearest products, where R is how many products have "
        "that label.",
        "map_at_r": "As R-precision, but right products count more the higher they rank.",
    }
