"""Names of members of a zip, whose bytes need not say what they are: Windows writes them in the code page of its region.

Names marked as UTF-8, and those that are valid UTF-8 throughout, are taken as such. For the others, every code page that
fits all of them is judged by how likely such letters are, over the names of the whole zip: characters in daily use of a
region's script are likely, rare ones are not, and neither are an accented capital inside a lower-case word or a Chinese
character inside a Latin one. What the other code pages would make of a name is kept beside it, since a table that names
its pictures may know better.
"""

from __future__ import annotations

import unicodedata
import zlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from zipfile import ZipInfo

_UTF8_FLAG = 0x800
_JUDGED = 200_000  # bytes of names that a code page is chosen by
_UNICODE_PATH = 0x7075  # the extra field in which Info-ZIP and 7-Zip repeat a name in UTF-8
# Natural logarithms: how likely one character is where such text is written.
_ASCII, _ACCENT, _LONE_ACCENT, _RARE = -4.1, -6.7, -9.0, -12.5
_BESIDE_LATIN = -4.0  # a character of East Asia right beside a small Latin letter, for each side


@dataclass(frozen=True, slots=True)
class _EastAsian:
    """Code page of two bytes a character: the first bytes of what is in daily use, and how likely one of those is."""

    title: str
    leads: range
    common: float
    low_trail: int = 0x40
    bonus: float = 0.0


_EAST = {
    "cp932": _EastAsian("Japanese (CP932)", range(0x88, 0x99), -8.4),  # JIS level 1, 2,965 kanji
    "gbk": _EastAsian("Chinese (GBK)", range(0xB0, 0xD8), -8.3, 0xA1, 1.5),  # GB 2312 level 1, 3,755 characters
    "big5": _EastAsian("Chinese (Big5)", range(0xA4, 0xC7), -8.6),  # level 1, 5,401 characters
    "cp949": _EastAsian("Korean (EUC-KR)", range(0xB0, 0xC9), -7.8, 0xA1),  # 2,350 syllables
}
_KANA, _KANA_LEADS = -6.3, (0x82, 0x83)
_WEST = {"cp437": "Western (CP437)", "cp850": "Western (CP850)", "cp1252": "Western (CP1252)"}


@dataclass(frozen=True, slots=True)
class ZipNames:
    """Names of members as they are shown.

    Attributes:
        shown: One for each member, with slashes between its folders.
        others: What else each may be called, by other code pages; empty where its bytes are clear.
        guessed: The code page that was chosen, in words; empty where none was needed.
    """

    shown: tuple[str, ...]
    others: tuple[tuple[str, ...], ...]
    guessed: str = ""


def names_of(members: Sequence[ZipInfo]) -> ZipNames:
    """Read the names of all members of a zip; Windows may write backslashes between folders."""
    known = [_stated(info) for info in members]
    raws = dict.fromkeys(
        info.filename.encode("cp437") for info, name in zip(members, known, strict=True) if name is None
    )
    if _all_utf8(raws):
        return _as_shown(
            [name or info.filename.encode("cp437").decode() for info, name in zip(members, known, strict=True)]
        )
    fitting = [page for page in (*_WEST, *_EAST) if all(_decoded(raw, page) is not None for raw in raws)]
    judged = [raw for raw, before in zip(raws, accumulate(map(len, raws), initial=0), strict=False) if before < _JUDGED]
    best = max(fitting, key=lambda page: sum(_likelihood(raw, page) for raw in judged) + _bonus(page))
    shown, others = [], []
    for info, name in zip(members, known, strict=True):
        raw = b"" if name is not None else info.filename.encode("cp437")
        read = [text for page in (best, "utf-8", *fitting) if (text := _decoded(raw, page))]
        shown.append(name if name is not None else _likeliest(raw, best))
        others.append(tuple(dict.fromkeys(text.replace("\\", "/") for text in read if text != shown[-1])))
    return _as_shown(shown, others, _EAST[best].title if best in _EAST else _WEST[best])


def _as_shown(names: Sequence[str], others: Sequence[tuple[str, ...]] = (), guessed: str = "") -> ZipNames:
    shown = tuple(name.replace("\\", "/") for name in names)
    return ZipNames(shown, tuple(others) or ((),) * len(shown), guessed)


def _stated(info: ZipInfo) -> str | None:
    """Return a name whose encoding is known: ASCII, marked as UTF-8, or repeated in it; None otherwise."""
    if info.flag_bits & _UTF8_FLAG or info.filename.isascii():
        return info.filename
    at, extra = 0, info.extra
    while at + 4 <= len(extra):
        kind, size = int.from_bytes(extra[at : at + 2], "little"), int.from_bytes(extra[at + 2 : at + 4], "little")
        field = extra[at + 4 : at + 4 + size]
        if (
            kind == _UNICODE_PATH
            and len(field) == size
            and field[1:5] == zlib.crc32(info.orig_filename.encode("cp437")).to_bytes(4, "little")
        ):
            return _decoded(field[5:], "utf-8")
        at += 4 + size
    return None


def _all_utf8(raws: Iterable[bytes]) -> bool:
    return all(_decoded(raw, "utf-8") is not None for raw in raws)


def _decoded(raw: bytes, page: str) -> str | None:
    try:
        return raw.decode(page)
    except UnicodeError:
        return None


def _likeliest(raw: bytes, page: str) -> str:
    """Return a name by the code page of its zip, or as UTF-8 where that is likelier: two systems may have filled it."""
    text = _decoded(raw, "utf-8")
    return text if text is not None and _western(text) > _by_page(raw, page) else raw.decode(page)


def _likelihood(raw: bytes, page: str) -> float:
    text = _decoded(raw, "utf-8")
    return max(_by_page(raw, page), -1e9 if text is None else _western(text))


def _by_page(raw: bytes, page: str) -> float:
    text = raw.decode(page)
    return _western(text) if page in _WEST else _summed(text, lambda at: _eastern(text, at, page))


def _western(text: str) -> float:
    return _summed(text, lambda at: _latin(text, at))


def _summed(text: str, of: Callable[[int], float]) -> float:
    return sum(_ASCII if letter.isascii() else of(at) for at, letter in enumerate(text))


def _latin(text: str, at: int) -> float:
    """Judge an accented letter by its neighbours: no capital behind a small letter, no capital behind a small accent."""
    if not _is_latin(text[at]):
        return _RARE
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if (text[at].isupper() and before.islower()) or (text[at].islower() and after.isupper()):
        return _RARE
    return _ACCENT if any(side.isascii() and side.isalpha() for side in (before, after)) else _LONE_ACCENT


@lru_cache(maxsize=4096)
def _is_latin(letter: str) -> bool:
    return unicodedata.category(letter) in {"Lu", "Ll"} and unicodedata.name(letter, "").startswith("LATIN")


def _eastern(text: str, at: int, page: str) -> float:
    script, code = _EAST[page], text[at].encode(page)
    sides = (text[at - 1 : at], text[at + 1 : at + 2])
    beside = _BESIDE_LATIN * sum(side.isascii() and side.islower() for side in sides)
    if page == "cp932" and len(code) == 2 and code[0] in _KANA_LEADS and unicodedata.category(text[at]) in {"Lo", "Lm"}:
        return _KANA + beside
    is_common = len(code) == 2 and code[0] in script.leads and code[1] >= script.low_trail
    return (script.common if is_common else _RARE) + beside


def _bonus(page: str) -> float:
    return _EAST[page].bonus if page in _EAST else 0.0
