"""What a question may say besides its pictures and filters: how much each picture counts, what to stay away from, how
varied the answer is to be, and whether products that are the same stand in it once.

These are data; :mod:`backend.retrieval.arrange` carries them out.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, cast, get_args

from backend.errors import RetrievalError
from backend.retrieval.filters import read_flag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Collapse = Literal["auto", "none", "groups", "duplicates", "variants"]
COLLAPSES: tuple[Collapse, ...] = get_args(Collapse)
Sort = Literal["similarity", "price", "price_desc"]
SORTS: tuple[Sort, ...] = get_args(Sort)
RULES_ON, RULES_OFF, DRAFT = "on", "off", "draft:"  # which rules; or the number of a version
_LONGEST_VERSION = 9  # digits
# As parameters of a question: those that may be given several times, and those that may not.
SEVERAL_WISHES = ("weight", "like", "unlike")
SINGLE_WISHES = ("diversity", "collapse", "colour_weight", "sort", "match_only", "rules", "rules_at")
MAX_PRODUCTS = 50  # named in one question
MAX_WEIGHT = 1_000.0
_SHOWN = 40  # characters of a foreign text that a message quotes


@dataclass(frozen=True, slots=True)
class Wishes:
    """How an answer is to be.

    Attributes:
        weights: How much each picture counts, above 0, in the order of the pictures; all the same where empty.
        like: Product ids whose pictures count as further pictures, each with weight 1.
        unlike: Product ids to stay away from; they are not in the answer either.
        diversity: From 0, the nearest products, to 1, products as unlike each other as there are among the near ones.
        collapse: ``groups`` shows products of one group once; ``duplicates`` those that look the same; ``variants`` both,
            and those that differ only in colour or size. ``auto`` means groups where the catalogue has any, else none.
        colour_weight: How much colour counts beside shape, from 0, shape only, to 1, colour only; None as the model has it.
        sort: The order of the k nearest: by ``similarity``, or by ``price``, what has none last. In an order by price no
            rule moves a product, and nothing is varied.
        match_only: Whether products that are no match are left out, unless a rule puts them in.
        rules: By which rules: ``on``, those published last; ``off``, none; the number of a version; ``draft:`` and whose.
        rules_at: The time that they are to be in force for, with its zone; now when left out.
    """

    weights: tuple[float, ...] = ()
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    diversity: float = 0.0
    collapse: Collapse = "auto"
    colour_weight: float | None = None
    sort: Sort = "similarity"
    match_only: bool = False
    rules: str = RULES_ON
    rules_at: datetime | None = None

    def __post_init__(self) -> None:
        if any(not (0.0 < weight <= MAX_WEIGHT) for weight in self.weights):
            raise RetrievalError("A weight must be a number above 0.", next_step="Write it as weight=2.")
        if not 0.0 <= self.diversity <= 1.0:
            raise RetrievalError("diversity must be between 0 and 1.", next_step="For example diversity=0.3.")
        check_colour_weight(self.colour_weight)
        if self.collapse not in COLLAPSES:
            raise RetrievalError("collapse has an invalid value.", next_step=f"Use one of {', '.join(COLLAPSES)}.")
        if self.sort not in SORTS:
            raise RetrievalError("sort has an invalid value.", next_step=f"Use one of {', '.join(SORTS)}.")
        check_rules(self.rules)
        if len(self.like) + len(self.unlike) > MAX_PRODUCTS:
            raise RetrievalError(f"More than {MAX_PRODUCTS} products are named in one query.", next_step="Name fewer.")

    @property
    def is_plain(self) -> bool:
        """Whether nothing is wished: the answer is the nearest products, in their order."""
        return self == Wishes(self.weights, collapse="none", rules=self.rules, rules_at=self.rules_at)

    def settled(self, *, has_groups: bool) -> Wishes:
        """Return the wishes as they are carried out, for a catalogue that has groups of products, or has none."""
        collapse: Collapse = ("groups" if has_groups else "none") if self.collapse == "auto" else self.collapse
        return replace(self, collapse=collapse, diversity=0.0 if self.sort != "similarity" else self.diversity)


def read_wishes(values: Mapping[str, Sequence[str]]) -> Wishes:
    """Read wishes as they come in a query string, each parameter with all its values.

    Raises:
        RetrievalError: A value cannot be read as what it should be, or is out of range.
    """
    return Wishes(
        weights=tuple(_number("weight", text) for text in values.get("weight", ())),
        like=tuple(values.get("like", ())),
        unlike=tuple(values.get("unlike", ())),
        diversity=_number("diversity", values.get("diversity", ("0",))[0]),
        collapse=cast("Collapse", values.get("collapse", ("auto",))[0]),
        colour_weight=read_colour_weight(values.get("colour_weight", ("",))[0]),
        sort=cast("Sort", values.get("sort", ("similarity",))[0]),
        match_only=read_flag("match_only", values.get("match_only", ("false",))[0]),
        rules=values.get("rules", (RULES_ON,))[0],
        rules_at=_time(values["rules_at"][0]) if "rules_at" in values else None,
    )


def check_rules(wanted: str) -> None:
    """Check which rules are wanted; raises RetrievalError."""
    is_version = wanted.isascii() and wanted.isdigit() and len(wanted) <= _LONGEST_VERSION
    is_draft = wanted.startswith(DRAFT) and len(wanted) > len(DRAFT)
    if not (is_version or is_draft or wanted in {RULES_ON, RULES_OFF}):
        raise RetrievalError("rules has an invalid value.", next_step="Use on, off, or the number of a version.")


def _time(text: str) -> datetime:
    with suppress(ValueError):
        if (time := datetime.fromisoformat(text)).tzinfo is not None:
            return time
    raise RetrievalError("rules_at must be a time with its zone.", next_step="For example 2026-12-24T10:00Z.")


def read_colour_weight(text: str) -> float | None:
    """Read how much colour counts, as it comes in a request; empty means as the model has it.

    Raises:
        RetrievalError: It is no number from 0 to 1.
    """
    weight = _number("colour_weight", text) if text else None
    check_colour_weight(weight)
    return weight


def check_colour_weight(weight: float | None) -> None:
    """Check how much colour is to count; raises RetrievalError."""
    if weight is not None and not 0.0 <= weight <= 1.0:
        raise RetrievalError("colour_weight must be between 0 and 1.", next_step="For example colour_weight=0.3.")


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RetrievalError(f"{name} needs a number, got {text[:_SHOWN]!r}.", next_step=f"Write it as {name}=0.5.")
    return number
