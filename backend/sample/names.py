"""What the sample shop writes on its cards: titles, brands, prices and stock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.sample.drawing.dice import Dice
    from backend.sample.range import Kind, Look, Style

# Invented brands, and how their prices stand to the usual ones.
BRANDS: dict[str, float] = {
    "Alder & Finch": 1.15,
    "Brackenby": 1.0,
    "Harrow Lane": 0.95,
    "Kestrel Works": 1.05,
    "Little Quill": 0.8,
    "Maison Corvelle": 1.4,
    "Northbeam": 1.1,
    "Ondalina": 0.9,
    "Pellow & Daughters": 1.2,
    "Solstedt": 1.0,
    "Tidewrack": 0.85,
    "Vantry": 0.75,
}
ENDINGS = (0.0, 0.5, 0.9, 0.95)
PATTERN_WORDS: dict[str, str] = {
    "striped": "Striped",
    "breton": "Breton-striped",
    "retro": "Retro-striped",
    "pinstripe": "Pinstriped",
    "candy": "Candy-striped",
    "gingham": "Gingham",
    "tartan": "Tartan",
    "windowpane": "Windowpane-checked",
    "dots": "Polka-dot",
    "chevron": "Chevron",
    "herringbone": "Herringbone",
    "block": "Colour-block",
    "floral": "Floral",
    "camouflage": "Camouflage",
    "leopard": "Leopard-print",
    "denim": "Denim",
    "ribbed": "Ribbed",
    "cable": "Cable-knit",
    "fair_isle": "Fair Isle",
    "quilted": "Quilted",
}
MOTIF_WORDS: dict[str, str] = {
    "sun": "Sunrise-print",
    "hills": "Mountain-print",
    "star": "Star-print",
    "heart": "Heart-print",
    "bars": "Stripe-print",
    "leaf": "Leaf-print",
    "wave": "Wave-print",
}
_OWN_MATERIAL = {"rubber": "Rubber", "straw": "Woven", "basket": "Handwoven", "biker": "Leather", "puffer": "Quilted"}


def title(kind: Kind, style: Style, look: Look, colour: str, dice: Dice) -> str:
    """Return a product title such as "Striped crew-neck T-shirt in navy"."""
    first = PATTERN_WORDS.get(look.fabric.pattern) or MOTIF_WORDS.get(look.print_motif)
    first = first or _OWN_MATERIAL.get(style.name) or dice.pick("material", kind.materials)
    shade = colour.removeprefix("denim ") if first == "Denim" else colour
    if style.natural:
        shade = f"natural and {colour}"
    return f"{first} {style.noun} in {shade}"


def price(kind: Kind, brand: str, dice: Dice) -> float:
    """Return a price in euros within the kind's range, times the brand's factor, with a shop's ending."""
    low, high = kind.prices
    usual = low + (high - low) * dice.unit("price") ** 1.5  # most things cost less than the middle
    return float(int(usual * BRANDS[brand])) + dice.pick("ending", ENDINGS)


def stock(dice: Dice) -> int:
    """Return how many are in stock; about one product in fourteen is sold out."""
    return 0 if dice.chance("sold out", 0.07) else 1 + int(dice.unit("stock") ** 2 * 60)
