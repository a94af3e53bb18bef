"""What two people made of one collection, brought together: what touches other products, or other fields, is merged."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backend.merchandising.collections.collection import in_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backend.merchandising.collections.collection import Collection


class _Torn(Exception):
    """Both touched the same, and not in the same way."""


def together(was: Collection, mine: Collection, theirs: Collection) -> Collection | None:
    """Bring together what two made of a collection; None where both touched the same, and not in the same way.

    What is merged is a draft, unless it is what one of them approved. Whoever approved something that the other changed
    meanwhile approved something else: that is not merged.
    """
    try:
        texts = {
            name: _either(*(getattr(one, name) for one in (was, mine, theirs))) for name in ("name", "note", "owner")
        }
        products = _order(was.products, mine.products, theirs.products)
        comments = _comments(was, mine, theirs, products)
    except _Torn:
        return None
    found = replace(theirs, **texts, products=products, comments=in_order(comments, products)).as_draft
    if mine != was and mine.as_draft == was.as_draft and theirs.as_draft != was.as_draft:
        return None  # approved as it was
    return next((one for one in (theirs, mine) if one.as_draft == found), found)


def _either(was: str, mine: str, theirs: str) -> str:
    """Return what one of both made of a text; raises _Torn where both did."""
    if mine in (was, theirs):
        return theirs
    if theirs == was:
        return mine
    raise _Torn


def _comments(was: Collection, mine: Collection, theirs: Collection, products: Sequence[str]) -> Mapping[str, str]:
    """Return the comments on products; a comment that one changed on what the other removed is torn."""
    before, my, their = was.comment_of, mine.comment_of, theirs.comment_of
    gone = set(was.products) - set(products)
    for name in gone:
        for one, comments in ((mine, my), (theirs, their)):
            if name in one.products and comments.get(name, "") != before.get(name, ""):
                raise _Torn
    return {name: _either(before.get(name, ""), my.get(name, ""), their.get(name, "")) for name in products}


@dataclass(frozen=True, slots=True)
class _Change:
    """What somebody did to an order."""

    removed: frozenset[str]
    moved: frozenset[str]


def _change(was: Sequence[str], now: Sequence[str]) -> _Change:
    """Return which products were removed and moved: as few as explain the new order."""
    place = {name: at for at, name in enumerate(was)}
    common = [name for name in now if name in place]
    return _Change(frozenset(place.keys() - set(now)), frozenset(common) - _rising(common, place))


def _rising(names: Sequence[str], place: Mapping[str, int]) -> frozenset[str]:
    """Return the names of a longest subsequence whose places rise."""
    ends: list[int] = []  # the least last place of a rising run of each length
    last: list[str] = []
    before: dict[str, str | None] = {}
    for name in names:
        at = bisect_left(ends, place[name])
        ends[at : at + 1], last[at : at + 1] = [place[name]], [name]
        before[name] = last[at - 1] if at else None
    found, at_end = set(), last[-1] if last else None
    while at_end is not None:
        found.add(at_end)
        at_end = before[at_end]
    return frozenset(found)


def _order(was: Sequence[str], mine: Sequence[str], theirs: Sequence[str]) -> tuple[str, ...]:
    """Put into the others' order what I moved and added, each behind what it is behind in mine; raises _Torn."""
    if mine in (was, theirs):
        return tuple(theirs)
    my, their = _change(was, mine), _change(was, theirs)
    if my.moved & (their.moved | their.removed) or their.moved & my.removed:
        raise _Torn
    kept = [name for name in theirs if name not in my.removed and name not in my.moved]
    staying, known = set(kept), set(was)
    behind: defaultdict[str, list[str]] = defaultdict(list)
    anchor = ""  # no product has an empty id
    for name in mine:
        if name in staying:
            anchor = name
        elif name in my.moved or name not in known:
            behind[anchor].append(name)
    return tuple(one for name in ("", *kept) for one in ([name] if name else []) + behind[name])
