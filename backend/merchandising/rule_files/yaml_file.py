"""Rules as YAML: everything that a rule is, in a form that people edit.

Every value is read as the text that is written there, and only then as what its field needs: so an id of ``00123``, ``on``
or ``1e3`` stays one. Comments are not kept when rules are exported again. Anchors, tags and several documents are refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from backend.errors import RetrievalError
from backend.retrieval.rules.rule import MAX_RULES, unusable
from backend.retrieval.rules.rule_set import RuleSet, as_plain, from_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.retrieval.rules.rule import Rule

MOST_BYTES = 20_000_000
_DEEPEST = 8
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")
_TRUTHS = {"true": True, "false": False}
_NEXT = "Compare it with `python -m backend rules export`."


def as_yaml(rules: RuleSet) -> str:
    """Return rules as YAML, with the version that they are of."""
    import yaml

    plain = {"version": rules.version, "rules": [as_plain(rule) for rule in rules.rules]}
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(plain, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120))


def from_yaml(data: bytes) -> tuple[list[Rule], int | None]:
    """Read rules.

    Returns:
        The rules, and the version that they were made of; None where the file names none.

    Raises:
        RetrievalError: It is no such file, or one of its rules cannot be used; the message says which.
    """
    plain = _plain(data)
    if not isinstance(plain, dict) or not isinstance(plain.get("rules"), list) or plain.keys() - {"rules", "version"}:
        raise unusable("The file has no list of rules, or something beside it.", _NEXT)
    if len(plain["rules"]) > MAX_RULES:
        raise unusable(f"The file has {len(plain['rules']):,} rules.", f"Keep at most {MAX_RULES:,}.")
    version = plain.get("version")
    if version is not None and not (isinstance(version, str) and _WHOLE.fullmatch(version) and int(version) >= 0):
        raise unusable("The version in the file is no number.", "Leave it out, or export the rules again.")
    rules = [_rule(raw, number) for number, raw in enumerate(plain["rules"], 1)]
    return list(RuleSet.of(rules).rules), None if version is None else int(version)


def _rule(raw: Any, number: int) -> Rule:
    try:
        return from_plain(_typed(raw) if isinstance(raw, dict) else raw)
    except RetrievalError as error:
        raise unusable(f"Rule number {number:,} of the file: {error.message}", error.next_step) from error


def _typed(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a rule with numbers where its fields need some; what cannot be one stays text, and is refused as that."""
    read = dict(raw)
    for name in ("slot", "priority"):
        if isinstance(text := read.get(name), str) and _WHOLE.fullmatch(text):
            read[name] = int(text)
    if isinstance(text := read.get("crosses"), str):
        read["crosses"] = _TRUTHS.get(text.lower(), text)
    if "strength" in read:
        read["strength"] = _number(read["strength"])
    if isinstance(scope := read.get("scope"), dict) and "radius" in scope:
        read["scope"] = {**scope, "radius": _number(scope["radius"])}
    return read


def _number(text: Any) -> Any:
    try:
        return float(text) if isinstance(text, str) else text
    except ValueError:
        return text


def _plain(data: bytes) -> Any:
    """Return what YAML holds, as texts, lists and records; nothing is called by its depth, and nothing is built by a tag."""
    import yaml

    if len(data) > MOST_BYTES:
        raise unusable(f"The file has {len(data):,} bytes.", f"Rules need at most {MOST_BYTES:,}.")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _built(yaml.parse(data.decode("utf-8-sig"), Loader=loader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1:,}" if mark else ""
        why = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise unusable(f"The file is no YAML{where}: {why}.", _NEXT) from error


def _built(events: Iterator[Any]) -> Any:
    import yaml

    documents: list[Any] = []
    open_: list[_Open] = []
    for event in events:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise unusable(f"Line {event.start_mark.line + 1:,} has an anchor or a tag.", "Write the value itself.")
        if isinstance(event, yaml.ScalarEvent):
            (open_[-1].take(event.value, event) if open_ else documents.append(event.value))
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else []))
            if len(open_) > _DEEPEST:
                raise unusable("The file is nested too deep.", _NEXT)
        elif isinstance(event, yaml.CollectionEndEvent):
            value = open_.pop().value
            (open_[-1].take(value, event) if open_ else documents.append(value))
    if len(documents) != 1:
        raise unusable("The file has no document, or several.", _NEXT)
    return documents[0]


class _Open:
    """A list or a record that is being read."""

    def __init__(self, value: dict[str, Any] | list[Any]) -> None:
        self.value = value
        self._name: str | None = None

    def take(self, value: Any, event: Any) -> None:
        """Take the next value; of a record, a name first."""
        if isinstance(self.value, list):
            self.value.append(value)
        elif self._name is None:
            if not isinstance(value, str) or value in self.value:
                raise unusable(f"Line {event.start_mark.line + 1:,} has a name twice, or none.", _NEXT)
            self._name = value
        else:
            self.value[self._name], self._name = value, None
