"""All rules of a catalogue at one version: what is live at a time, what it is called, and what is wrong with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backend.retrieval.rules.rule import MAX_RULES, Rule, Scope, conditions, unusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

EMPTY = 0  # the version before the first one


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
    usual = asdict(Rule("x", "block", products=("x",)))
    plain = {name: value for name, value in asdict(rule).items() if name == "id" or value != usual[name]}
    plain["action"] = rule.action
    plain.pop("products", None)
    if rule.products:
        plain["products"] = list(rule.products)
    if rule.scope != Scope():
        scope = {"kind": rule.scope.kind, "values": list(rule.scope.values)}
        plain["scope"] = {**scope, **({"radius": rule.scope.radius} if rule.scope.radius else {})}
    if rule.where:
        plain["where"] = {name: list(value) if isinstance(value, tuple) else value for name, value in rule.where}
    return plain


def from_plain(raw: Mapping[str, Any]) -> Rule:
    """Read what :func:`as_plain` gives, or what somebody wrote in that form.

    Raises:
        RetrievalError: A key is unknown, or a value has the wrong type or cannot be used.
    """
    known = Rule.__dataclass_fields__
    if unknown := raw.keys() - known.keys():
        raise unusable(f"A rule has no {min(map(str, unknown))[:40]!r}.", f"Use {', '.join(known)}.")
    try:
        scope = {**raw.get("scope", {})}
        scope["values"] = tuple(scope.get("values", ()))
        read = {**raw, "scope": Scope(**scope), "products": tuple(raw.get("products", ()))}
        return Rule(**{**read, "where": conditions(raw.get("where", {}))})
    except (TypeError, AttributeError) as error:
        name = str(raw.get("id", "?"))[:40]
        raise unusable(f"The rule {name!r} cannot be read.", "Compare it with an exported one.") from error
