"""The built-in sample catalogue: a small shop drawn by code, the same in every process and on every machine.

It stands in where no data set is at hand, and it is what fast tests use. A product depends on its id alone: asking for
fewer or for more of them changes none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from backend.sample import names
from backend.sample.clothes import CLOTHES
from backend.sample.drawing.backpacks import draw_backpack
from backend.sample.drawing.boots import draw_boot
from backend.sample.drawing.bottoms import draw_shorts, draw_trousers
from backend.sample.drawing.canvas import Canvas, Pose
from backend.sample.drawing.dice import Dice
from backend.sample.drawing.dresses import draw_dress, draw_skirt
from backend.sample.drawing.handbags import draw_handbag
from backend.sample.drawing.hats import draw_hat
from backend.sample.drawing.outerwear import draw_coat, draw_jacket
from backend.sample.drawing.sandals import draw_heel, draw_sandal
from backend.sample.drawing.sneakers import draw_sneaker
from backend.sample.drawing.sunglasses import draw_sunglasses
from backend.sample.drawing.tops import draw_hoodie, draw_pullover, draw_shirt, draw_t_shirt
from backend.sample.goods import GOODS
from backend.sample.range import BUTTONS, Kind, Look, choose_look

if TYPE_CHECKING:
    from collections.abc import Callable

Split = Literal["train", "validation", "test"]
DEFAULT_COUNT = 1440
TEST_EVERY = 5  # one product in five of a kind is for testing
KINDS: tuple[Kind, ...] = (*CLOTHES, *GOODS)
ARTISTS: dict[str, Callable[[Canvas, Look, Dice], None]] = {
    "T-shirt": draw_t_shirt,
    "Shirt": draw_shirt,
    "Pullover": draw_pullover,
    "Hoodie": draw_hoodie,
    "Jacket": draw_jacket,
    "Coat": draw_coat,
    "Dress": draw_dress,
    "Skirt": draw_skirt,
    "Trousers": draw_trousers,
    "Shorts": draw_shorts,
    "Sneaker": draw_sneaker,
    "Boot": draw_boot,
    "Sandal": draw_sandal,
    "Heel": draw_heel,
    "Handbag": draw_handbag,
    "Backpack": draw_backpack,
    "Hat": draw_hat,
    "Sunglasses": draw_sunglasses,
}


@dataclass(frozen=True, slots=True)
class SampleProduct:
    """One product of the sample shop: its catalogue columns, and what its picture is drawn from."""

    product_id: str
    label: str
    split: Split
    title: str
    category: str
    brand: str
    colour: str
    price: float
    stock: int
    look: Look
    pose: Pose
    standing: bool


def sample_products(count: int = DEFAULT_COUNT) -> list[SampleProduct]:
    """Return the first ``count`` products, kinds taking turns, so that any prefix is balanced. Draws nothing."""
    return [_product(number) for number in range(count)]


def draw(product: SampleProduct) -> bytes:
    """Return the product's picture: PNG, RGB, 192 x 192, on a light studio background."""
    canvas = Canvas(product.pose)
    ARTISTS[product.label](canvas, product.look, Dice(product.product_id))
    return canvas.finish(standing=product.standing)


def _product(number: int) -> SampleProduct:
    kind, product_id = KINDS[number % len(KINDS)], f"tw-{number + 1:04d}"
    dice = Dice(product_id)
    style = dice.pick("style", kind.styles)
    look, colour = choose_look(
        style.name, style.patterns or kind.patterns, kind.colours, dice, printable=style.printable
    )
    if kind.neutral_trim:
        look = replace(look, trim=dice.pick("buttons", BUTTONS))
    brand = dice.pick("brand", tuple(names.BRANDS))
    return SampleProduct(
        product_id=product_id,
        label=kind.label,
        split=_split(kind, number // len(KINDS)),
        title=names.title(kind, style, look, colour, dice),
        category=kind.category,
        brand=brand,
        colour="natural" if style.natural else colour,
        price=names.price(kind, brand, dice),
        stock=names.stock(dice),
        look=look,
        pose=_pose(kind, dice),
        standing=kind.standing,
    )


def _split(kind: Kind, position: int) -> Split:
    """Of every five products of a kind, one that chance picks is for testing."""
    block, place = divmod(position, TEST_EVERY)
    return "test" if place == int(Dice(kind.label).unit(f"test {block}") * TEST_EVERY) else "train"


def _pose(kind: Kind, dice: Dice) -> Pose:
    lean = 0.8 if kind.standing else 4.0
    return Pose(
        scale=kind.zoom * dice.between("zoom", 0.92, 1.0),
        degrees=dice.between("lean", -lean, lean),
        mirrored=dice.chance("mirrored", 0.35),
        shift=(kind.shift[0] + dice.between("right", -0.03, 0.03), kind.shift[1] + dice.between("down", -0.025, 0.025)),
    )
