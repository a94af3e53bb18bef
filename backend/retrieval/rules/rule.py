"""One rule: what it does, to which products, in which answers, and from when to when.

A rule is data. :mod:`backend.retrieval.rules.compiled` looks it up in a gallery, and
:mod:`backend.retrieval.rules.order` carries it out.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args
from zoneinfo import ZoneInfo

from backend.catalogue.fields import PRODUCT_FIELDS
from backend.errors import RetrievalError
from backend.retrieval.filters import check_filters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Action = Literal["pin", "soft pin", "boost", "bury", "block", "fall-back"]
ACTIONS: tuple[Action, ...] = get_args(Action)
# A rule may be for products of a name in one of these columns.
NAMED_BY = ("label", *(one.name for one in PRODUCT_FIELDS if one.kind == "string" and one.is_bounded))
SCOPES = ("all", "product", "picture", "nearest", *NAMED_BY)
PINS: tuple[Action, ...] = ("pin", "soft pin")
SHIFTS: tuple[Action, ...] = ("boost", "bury")
MAX_SLOT = 200
MAX_STRENGTH = (
    3.0  # units of the spread of an answer's similarities: the sum of all shifts of a product is cut there, too
)
MAX_PRODUCTS = 10_000  # named by one rule
MAX_RULES = 20_000  # in one set
MAX_TEXT = 500  # characters of a reason, an owner or a value
_MAX_ZONE = 64
SOLD_OUT = "sold_out"  # the one condition that is no filter of a question
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}")
# What no file and no page shows: control characters, halves of characters, and what Unicode says is none.
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose answers a rule changes.

    Attributes:
        kind: ``all`` answers; those about a ``product``; those about pictures near a ``picture``; those whose ``nearest``
            product is one of some; those whose nearest product, or the one asked about, has a name in a column of
            ``NAMED_BY``.
        values: Product ids, the SHA-256 of one picture, or names; empty for ``all``.
        radius: Of a picture: cosine distance up to which others count as near, above 0 and up to 1.
    """

    kind: str = "all"
    values: tuple[str, ...] = ()
    radius: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in SCOPES:
            raise unusable(f"A rule cannot be for {str(self.kind)[:40]!r}.", f"Use one of {', '.join(SCOPES)}.")
        repeats = len(set(self.values)) < len(self.values)
        if bool(self.values) == (self.kind == "all") or repeats or not _are_texts(self.values):
            raise unusable(
                f"A rule for {self.kind} has invalid values.", "Name at least one, each once, and none for all answers."
            )
        is_picture = self.kind == "picture"
        if is_picture and (len(self.values) != 1 or not _SHA256.fullmatch(self.values[0])):
            raise unusable("A rule for a picture needs the SHA-256 of one picture.", "Make it from an answer.")
        if is_picture != (0.0 < self.radius <= 1.0) or (not is_picture and self.radius):
            raise unusable("Only a rule for a picture has a radius, above 0 and up to 1.", "For example 0.1.")


@dataclass(frozen=True, slots=True)
class Rule:
    """One decision about answers.

    Attributes:
        id: Its name for machines; stays when it is edited.
        action: What is done.
        scope: In which answers.
        products: Ids of what it is done to; for pins one, for a fall-back several in their order.
        where: Or conditions, filters of a question and ``sold_out``, as sorted pairs; see :func:`conditions`.
        slot: Of pins: place in the answer, from 1.
        strength: Of boost and bury: how far, in units of the spread of an answer's similarities, above 0.
        crosses: Of boost and bury: whether products may be moved past the line between matches and others.
        reason: Why, for people.
        owner: Whose it is.
        starts, ends: From when, and until when not any more, as local time of ``zone``, ``2026-12-01T09:00``; empty: open.
        zone: Time zone by its IANA name.
        priority: Where two rules contradict each other, the higher one holds.
    """

    id: str
    action: Action
    scope: Scope = field(default_factory=Scope)
    products: tuple[str, ...] = ()
    where: tuple[tuple[str, Any], ...] = ()
    slot: int | None = None
    strength: float | None = None
    crosses: bool = False
    reason: str = ""
    owner: str = ""
    starts: str = ""
    ends: str = ""
    zone: str = "UTC"
    priority: int = 0

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise unusable(f"{self.id[:40]!r} is no id of a rule.", "Use up to 64 letters, digits and -_.: signs.")
        if self.action not in ACTIONS:
            raise unusable(f"There is no action {str(self.action)[:40]!r}.", f"Use one of {', '.join(ACTIONS)}.")
        _check_target(self)
        _check_amount(self)
        _check_texts(self)
        _check_times(self)

    def holds_at(self, now: datetime) -> bool:
        """Tell whether it is in force at a time that knows its zone."""
        starts, ends = self.times
        return (starts is None or starts <= now) and (ends is None or now < ends)

    @property
    def times(self) -> tuple[datetime | None, datetime | None]:
        """When it starts and ends, in UTC; None where that is open."""
        zone = ZoneInfo(self.zone[:_MAX_ZONE])
        start, end = (_utc(text, zone) if text else None for text in (self.starts, self.ends))
        return start, end

    @property
    def rank(self) -> tuple[int, str]:
        """Sorts rules by who wins: the highest priority, then the first id, so that no order of a file decides."""
        return -self.priority, self.id


def conditions(raw: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Read conditions on products: filters of a question, and ``sold_out``, which is true of what is known to be out of stock.

    Raises:
        RetrievalError: One is unknown or has a value it cannot have.
    """
    read = {**check_filters({name: value for name, value in raw.items() if name != SOLD_OUT})}
    if SOLD_OUT in raw:
        read[SOLD_OUT] = check_filters({"in_stock": raw[SOLD_OUT]})["in_stock"]
    if not all(_are_texts(value) for value in read.values() if isinstance(value, tuple)):
        raise unusable("A condition of a rule has an invalid text.", f"Use at most {MAX_TEXT} characters.")
    return tuple(sorted(read.items()))


def _utc(text: str, zone: ZoneInfo) -> datetime:
    if not _TIME.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def next_change(rules: Iterable[Rule], after: datetime) -> datetime | None:
    """Return when the next rule starts or ends after a time; None where none does."""
    times = [time for rule in rules for time in rule.times if time is not None and time > after]
    return min(times, default=None)


# ------------------------------------------------------------------------------------------------ checks


def _check_target(rule: Rule) -> None:
    if bool(rule.products) == bool(rule.where) or not _are_texts(rule.products):
        raise unusable(f"The rule {rule.id} must name products, or conditions, and not both.", "Choose one of them.")
    if len(set(rule.products)) < len(rule.products):
        raise unusable(f"The rule {rule.id} names a product twice.", "Name it once.")
    if rule.action in PINS and len(rule.products) != 1:
        raise unusable(f"The rule {rule.id} must pin exactly one product.", "Make one rule for each product.")
    if rule.action == "fall-back" and not rule.products:
        raise unusable(f"The fall-back {rule.id} needs a list of products.", "Name them in their order.")
    if rule.where and rule.where != conditions(dict(rule.where)):
        raise unusable(f"The conditions of the rule {rule.id} are not in their standard form.", "Write them again.")


def _check_amount(rule: Rule) -> None:
    is_pin, is_shift = rule.action in PINS, rule.action in SHIFTS
    slot, strength = rule.slot, rule.strength
    if is_pin != (slot is not None) or (slot is not None and not 1 <= slot <= MAX_SLOT):
        raise unusable(
            f"The rule {rule.id} has no valid place.", f"Pins need a place from 1 to {MAX_SLOT}, no other rule."
        )
    if is_shift != (strength is not None) or (strength is not None and not _is_strength(strength)):
        raise unusable(
            f"The rule {rule.id} has no valid strength.",
            f"Boost and bury need one above 0, up to {MAX_STRENGTH:g}; no other rule has one.",
        )
    if rule.crosses and not is_shift:
        raise unusable(f"Only boost and bury can cross the match line; {rule.id} does neither.", "Leave it out.")


def _is_strength(value: float) -> bool:
    return math.isfinite(value) and 0.0 < value <= MAX_STRENGTH


def _check_texts(rule: Rule) -> None:
    reason = rule.reason.replace("\n", "").replace("\t", "")
    if any(len(text) > MAX_TEXT or _INVISIBLE.search(text) for text in (reason, rule.owner)):
        raise unusable(
            f"A text of the rule {rule.id} is too long, or has invisible characters.",
            f"Use at most {MAX_TEXT} characters that can be seen.",
        )
    if isinstance(rule.priority, bool) or not -1000 <= rule.priority <= 1000:
        raise unusable(f"The priority of the rule {rule.id} is out of range.", "Use -1000 to 1000.")


def _check_times(rule: Rule) -> None:
    try:
        starts, ends = rule.times
    except (ValueError, OSError, LookupError, OverflowError) as error:
        raise unusable(
            f"A time of the rule {rule.id} cannot be read.",
            "Write it as 2026-12-01T09:00, with a zone as Europe/Berlin.",
        ) from error
    if starts is not None and ends is not None and ends <= starts:
        raise unusable(f"The rule {rule.id} ends before it starts.", "Swap the two dates.")


def _are_texts(values: tuple[str, ...]) -> bool:
    return len(values) <= MAX_PRODUCTS and all(
        isinstance(value, str) and 0 < len(value) <= MAX_TEXT and not _INVISIBLE.search(value) for value in values
    )


def unusable(message: str, next_step: str) -> RetrievalError:
    """Return the error of a rule that cannot be used."""
    error = RetrievalError(message, next_step=next_step)
    error.code = "bad_rule"
    return error
