"""Which bodies are read, and which of them are pictures: by what they are, whatever their headers say; what a refusal means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.catalogue.fetch import robots
from backend.catalogue.fetch.records import GONE
from backend.errors import ImageRejected
from backend.imaging.pixels import HEAD_BYTES, kind_of

if TYPE_CHECKING:
    from backend.catalogue.fetch.exchange import Answer

OK = 200
CHECK = "Check the address in the table."
_REFUSED = {
    401: ("forbidden", "The server does not hand out this picture (401)."),
    403: ("forbidden", "The server does not hand out this picture (403)."),
    404: ("not_found", "The server does not have this picture (404)."),
    GONE: ("gone", "The server says that this picture is gone for good (410)."),
}


def refused(status: int) -> ImageRejected:
    """Return what a server's status means that has no picture for us."""
    code, sentence = _REFUSED.get(status, ("http_status", f"The server answers with status {status}."))
    return ImageRejected(sentence, code=code, next_step=CHECK)


def may_read(answer: Answer, *, obeys_robots: bool) -> bool:
    """Tell whether the body of an answer is to be read.

    Raises:
        ImageRejected: It may not be: it is packed, or its owner keeps it out of collections.
    """
    if answer.status != OK:
        return False
    if answer.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise ImageRejected(
            "The server packs the picture though it was asked not to, and packed data is not opened.",
            code="encoded",
            next_step="Have the server send pictures as they are.",
        )
    if obeys_robots:
        robots.check_header(answer.headers)
    return True


def check_content(data: bytes) -> str:
    """Return the format of a picture by its bytes, whatever its header says.

    Raises:
        ImageRejected: They are none that is read here.
    """
    kind = kind_of(data[:HEAD_BYTES])
    if kind:
        return kind
    start = data[:1024].lstrip().lower()
    if b"<svg" in start:
        sentence, code = "An SVG drawing is never loaded, as it can run code.", "svg"
    elif start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        sentence, code = "The server sent a web page instead of a picture.", "html"
    elif not data:
        sentence, code = "The server sent nothing.", "empty"
    else:
        sentence, code = "What the server sent is not a picture.", "not_an_image"
    raise ImageRejected(sentence, code=code, next_step=CHECK)
