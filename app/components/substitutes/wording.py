"""What pages say of substitutes: what came of looking for them, and why some products have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app import words

if TYPE_CHECKING:
    from collections.abc import Mapping

# Why products have no substitute.
WITHOUT = {
    "no match": "no other product looks similar enough",
    "none in stock": "similar products exist, but none is in stock",
    "of another kind": "similar products in stock are of another kind",
    "no price": "no price is stated to compare with",
    "price": "similar products in stock are outside the price limits",
}


def found(result: dict[str, Any]) -> list[str]:
    """Say what came of looking for substitutes."""
    selected = words.count(result["selected"], "selected item")
    return [f"{result['with_twin']:,} of {selected} have a substitute in stock.", *left_out(result)]


def left_out(result: Mapping[str, Any]) -> list[str]:
    """Say why some have no substitute, and what was not looked at; a sentence each."""
    told = [f"{count:,} without a substitute: {WITHOUT[reason]}." for reason, count in result["reasons"].items()]
    if missing := result.get("missing"):
        told.append(f"{words.count(missing, 'product')} not looked at: not searchable yet, or withdrawn.")
    if unreadable := result.get("unreadable"):
        told.append(f"{words.count(unreadable, 'photo')} not looked at: unreadable.")
    return told


def limits(request: Mapping[str, Any]) -> str:
    """Say within which limits substitutes were found; empty where nothing was limited."""
    price, least = request.get("price"), request.get("at_least")
    told = [
        "" if price is None else f"price within {price:g} %",
        f"at least {least:g} % of the price" if least else "",
        f"same {', '.join(request['same'])}" if request.get("same") else "",
        "unknown stock counts as in stock" if request.get("unknown") else "",
    ]
    return ", ".join(part for part in told if part)


def ready(result: dict[str, Any]) -> list[str]:
    """Say how ready a range is for what sells out."""
    return [f"{result['sentence']}." if result["sentence"] else "Nothing is sold out."]
