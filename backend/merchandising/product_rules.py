"""Which rules have to do with one product, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from backend.retrieval.rules.rule import NAMED_BY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from backend.catalogue.items import Product
    from backend.merchandising.known_products import KnownProducts
    from backend.retrieval.rules.rule import Rule

Way = Literal["named", "answers", "condition", "everywhere"]


def rules_about(
    rules: Iterable[Rule], product: Product, known: KnownProducts | None, touching: Collection[str]
) -> dict[Way, list[Rule]]:
    """Return the rules that have to do with a product, each once, by how.

    Args:
        rules: All of them.
        product: The product.
        known: The products on sale; without them no rule is found by its conditions.
        touching: Ids of the rules that the endpoint names for the answer about the product.

    Returns:
        Rules that name it; those for answers about it, a name that it has, or a photo like its picture; those
        whose conditions it fulfils; and those for every answer.
    """
    found: dict[Way, list[Rule]] = {}
    for rule in rules:
        if (way := _way(rule, product, known, touching)) is not None:
            found.setdefault(way, []).append(rule)
    return found


def _way(rule: Rule, product: Product, known: KnownProducts | None, touching: Collection[str]) -> Way | None:
    scope = rule.scope
    if product.product_id in rule.products or (
        scope.kind in {"product", "nearest"} and product.product_id in scope.values
    ):
        return "named"
    if scope.kind in NAMED_BY and getattr(product, scope.kind) in scope.values:
        return "answers"
    if scope.kind != "all" and rule.id in touching:
        return "answers"
    if rule.where and known is not None and product.product_id in known.matching(rule.where):
        return "condition"
    return "everywhere" if scope.kind == "all" else None
