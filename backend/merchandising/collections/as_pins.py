"""A collection as pins: its products in their order from the first place on, in the answers of one scope."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from backend.retrieval.rules.rule import MAX_SLOT, Rule
from backend.retrieval.rules.rule_set import as_plain

if TYPE_CHECKING:
    from collections.abc import Collection as AnyOf
    from collections.abc import Iterable

    from backend.merchandising.collections.collection import Collection
    from backend.retrieval.rules.rule import Scope


def with_pins(
    rules: Iterable[Rule], one: Collection, scope: Scope, owner: str, known: AnyOf[str]
) -> tuple[list[Rule], int, int]:
    """Return rules with the products of a collection pinned, in the place of its former pins for that scope.

    Args:
        rules: All rules as they are.
        one: The collection.
        scope: In which answers.
        owner: Whose pins they are.
        known: Ids of the products that can be answered; others are not pinned.

    Returns:
        The rules, how many products are pinned, and how many are not: they are gone, or behind the last place.
    """
    named = repr(sorted(as_plain(Rule("x", "block", scope, ("x",))).items()))
    stem = f"{one.id[:40]}-{hashlib.sha256(named.encode()).hexdigest()[:8]}-"
    wanted = [name for name in one.products if name in known][:MAX_SLOT]
    pins = [
        Rule(f"{stem}{slot}", "pin", scope, (name,), slot=slot, reason=f"Collection {one.name}", owner=owner)
        for slot, name in enumerate(wanted, 1)
    ]
    others = [rule for rule in rules if not rule.id.startswith(stem)]
    return [*others, *pins], len(pins), len(one.products) - len(pins)
