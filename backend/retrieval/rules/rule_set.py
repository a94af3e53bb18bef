"""All rules of a catalogue at one version: what is live at a time, what it is called, and what is wrong with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from backend.files.typed_json import built
from backend.retrieval.rules.rule import MAX_RULES, Rule, Scope, conditions, unusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

EMPTY = 0  # the version before the first one
# The fields that a rule need not have, and what they are then, in the order in which they are written.
_USUAL = {
    name: Rule.__dataclass_fields__[name].default
    for name in ("slot", "strength", "crosses", "reason", "owner", "starts", "ends", "zone", "priority")
}


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules that hold together.

    Attributes:
        version: Counts from 1 for each catalogue; ``EMPTY`` where nothing was ever published.
        rules: Sorted by id, each id once.
        published_at: ISO time in UTC; empty for what is not published.
        by: Who published it.
        note: Why.
    """

    version: int = EMPTY
    rules: tuple[Rule, ...] = ()
    published_at: str = ""
    by: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        ids = [rule.id for rule in self.rules]
        if len(ids) > MAX_RULES:
            raise unusable(f"{len(ids):,} rules are too many.", f"Keep at most {MAX_RULES:,}.")
        if ids != sorted(set(ids)):
            twice = next((one for one, other in zip(sorted(ids), sorted(ids)[1:], strict=False) if one == other), "")
            raise unusable(f"Two rules have the id {twice!r}." if twice else "The rules are not sorted.", "Rename one.")

    @classmethod
    def of(cls, rules: Iterable[Rule], **about: Any) -> RuleSet:
        """Make a set of rules in any order; ``about`` are its other attributes."""
        return cls(rules=tuple(sorted(rules, key=lambda rule: rule.id)), **about)

    @property
    def digest(self) -> str:
        """SHA-256 of the rules, whoever published them and when: equal rules have equal digests."""
        text = json.dumps([as_plain(rule) for rule in self.rules], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def live(self, now: datetime) -> tuple[Rule, ...]:
        """Return the rules that are in force at a time that knows its zone."""
        return tuple(rule for rule in self.rules if rule.holds_at(now))


def as_plain(rule: Rule) -> dict[str, Any]:
    """Return a rule as values of JSON, without what is as usual."""
    plain: dict[str, Any] = {"id": rule.id, "action": rule.action}
    if rule.scope != Scope():
        plain["scope"] = {"kind": rule.scope.kind, "values": list(rule.scope.values)}
        if rule.scope.radius:
            plain["scope"]["radius"] = float(rule.scope.radius)
    if rule.products:
        plain["products"] = list(rule.products)
    if rule.where:
        plain["where"] = {name: list(value) if isinstance(value, tuple) else value for name, value in rule.where}
    for name, usual in _USUAL.items():
        if (value := getattr(rule, name)) != usual:
            plain[name] = float(value) if name == "strength" else value
    return plain


def from_plain(raw: Mapping[str, Any]) -> Rule:
    """Read what :func:`as_plain` gives, or what somebody wrote in that form.

    Raises:
        RetrievalError: A key is unknown, or a value has the wrong type or cannot be used.
    """
    if not isinstance(raw, dict):
        raise unusable("A rule is no record of names and values.", "Compare it with an exported one.")
    kinds = _kinds()
    if unknown := raw.keys() - kinds.keys():
        raise unusable(f"A rule has no {min(map(str, unknown))[:40]!r}.", f"Use {', '.join(kinds)}.")
    name = str(raw.get("id", "?"))[:40]
    if missing := {"id", "action"} - raw.keys():
        raise unusable(f"The rule {name!r} has no {min(missing)}.", "Every rule needs an id and an action.")
    try:
        read = {
            key: value if type(value) is kinds[key] else built(kinds[key], value, key)
            for key, value in raw.items()
            if key != "where"
        }
        where = conditions(built(dict[str, Any], raw["where"], "where")) if "where" in raw else ()
    except (TypeError, ValueError, RecursionError) as error:
        raise unusable(f"The rule {name!r} cannot be read: {error}.", "Compare it with an exported one.") from error
    return Rule(**read, where=where)


@cache
def _kinds() -> dict[str, Any]:
    """Types of the fields of a rule."""
    return get_type_hints(Rule)
