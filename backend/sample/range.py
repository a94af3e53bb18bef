"""The range of the sample shop: colours that go together, and for every kind its styles, patterns and prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.sample.drawing.patterns import Fabric, brightness

if TYPE_CHECKING:
    from backend.sample.drawing.dice import Dice
    from backend.sample.drawing.patterns import Rgb

PALETTE: dict[str, Rgb] = {
    "white": (250, 249, 246),
    "cream": (239, 228, 205),
    "sand": (217, 197, 163),
    "camel": (190, 145, 92),
    "tan": (166, 108, 62),
    "chocolate": (92, 60, 44),
    "black": (38, 38, 42),
    "charcoal": (76, 79, 86),
    "grey": (150, 153, 158),
    "silver": (203, 206, 210),
    "navy": (36, 50, 92),
    "cobalt": (38, 84, 178),
    "denim blue": (76, 112, 158),
    "sky blue": (146, 189, 224),
    "teal": (24, 118, 124),
    "mint": (165, 217, 192),
    "sage": (152, 172, 138),
    "emerald": (22, 128, 88),
    "forest green": (38, 82, 60),
    "olive": (112, 114, 60),
    "mustard": (214, 164, 42),
    "lemon": (245, 222, 112),
    "apricot": (244, 174, 122),
    "coral": (240, 112, 92),
    "rust": (180, 82, 44),
    "red": (202, 44, 48),
    "burgundy": (116, 30, 50),
    "blush": (239, 196, 194),
    "rose": (216, 122, 142),
    "fuchsia": (206, 44, 124),
    "lilac": (192, 172, 220),
    "plum": (104, 52, 104),
}
# Colours that suit a colour well; the first is its most usual companion.
PARTNERS: dict[str, tuple[str, ...]] = {
    "white": ("navy", "red", "black", "sky blue", "forest green", "coral"),
    "cream": ("navy", "rust", "forest green", "burgundy", "chocolate", "teal"),
    "sand": ("white", "navy", "chocolate", "olive", "rust"),
    "camel": ("cream", "navy", "burgundy", "black", "forest green"),
    "tan": ("cream", "navy", "chocolate", "teal"),
    "chocolate": ("cream", "apricot", "sky blue", "camel", "blush"),
    "black": ("white", "red", "mustard", "grey", "rose"),
    "charcoal": ("white", "coral", "mint", "lemon", "silver"),
    "grey": ("white", "navy", "burgundy", "coral", "black"),
    "silver": ("navy", "charcoal", "rose", "cobalt"),
    "navy": ("white", "red", "cream", "mustard", "sky blue", "coral"),
    "cobalt": ("white", "lemon", "coral", "sky blue"),
    "denim blue": ("white", "cream", "rust", "navy"),
    "sky blue": ("white", "navy", "coral", "lemon"),
    "teal": ("cream", "mustard", "coral", "white"),
    "mint": ("white", "forest green", "coral", "navy"),
    "sage": ("cream", "forest green", "blush", "white"),
    "emerald": ("white", "navy", "lemon", "blush"),
    "forest green": ("cream", "mustard", "rust", "blush"),
    "olive": ("cream", "mustard", "black", "rust"),
    "mustard": ("cream", "navy", "chocolate", "teal"),
    "lemon": ("white", "cobalt", "grey", "coral"),
    "apricot": ("cream", "chocolate", "teal", "white"),
    "coral": ("cream", "navy", "white", "teal"),
    "rust": ("cream", "navy", "mustard", "teal"),
    "red": ("white", "navy", "cream", "black"),
    "burgundy": ("cream", "blush", "navy", "mustard"),
    "blush": ("white", "burgundy", "olive", "navy"),
    "rose": ("cream", "burgundy", "navy", "white"),
    "fuchsia": ("white", "navy", "apricot", "lilac"),
    "lilac": ("white", "plum", "lemon", "navy"),
    "plum": ("cream", "lilac", "mustard", "blush"),
}
LEATHER = (
    "black",
    "black",
    "chocolate",
    "tan",
    "tan",
    "camel",
    "burgundy",
    "cream",
    "navy",
    "forest green",
    "red",
    "sand",
)
BRIGHT = tuple(name for name in PALETTE if name not in {"silver", "tan"})
MOTIFS = ("sun", "hills", "star", "heart", "bars", "leaf", "wave")


@dataclass(frozen=True, slots=True)
class Style:
    """A style within a kind: its noun on the product card, and its patterns where they differ from the kind's."""

    name: str
    noun: str
    patterns: tuple[str, ...] = ()
    printable: bool = False  # may carry a picture where it is plain
    natural: bool = False  # woven straw: the chosen colour is only its trimming


@dataclass(frozen=True, slots=True)
class Kind:
    """One label of the catalogue; ``zoom`` and ``shift`` make it fill the picture, prices are in whole euros."""

    label: str
    category: str
    styles: tuple[Style, ...]
    patterns: tuple[str, ...]
    materials: tuple[str, ...]
    prices: tuple[int, int]
    colours: tuple[str, ...] = BRIGHT
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    standing: bool = False
    neutral_trim: bool = False  # buttons rather than accents: cream, white, horn


@dataclass(frozen=True, slots=True)
class Look:
    """What one product looks like; the finer measures of its shape are drawn from its id."""

    style: str
    fabric: Fabric
    trim: Rgb
    print_motif: str = ""

    @property
    def cord(self) -> Rgb:
        """The colour of cords and laces: light on dark cloth, dark or cream on light cloth."""
        return (240, 236, 226) if brightness(self.fabric.base) < 190 else (120, 116, 112)


# Patterns that only exist in some colours, and the colours that go into them.
PATTERN_COLOURS: dict[str, tuple[str, ...]] = {
    "denim": ("denim blue", "denim blue", "navy", "sky blue", "black", "grey", "white", "sand"),
    "camouflage": ("olive", "olive", "forest green", "sand", "grey", "navy", "chocolate", "sage"),
    "leopard": ("camel", "sand", "camel", "cream", "grey", "rose"),
    "herringbone": ("grey", "charcoal", "camel", "navy", "chocolate", "sand", "olive", "burgundy"),
}
BUTTONS: tuple[Rgb, ...] = ((240, 236, 226), (250, 249, 246), (96, 66, 46), (58, 56, 60))
SPOTS: Rgb = (58, 40, 32)


def choose_look(
    style: str, patterns: tuple[str, ...], colours: tuple[str, ...], dice: Dice, *, printable: bool
) -> tuple[Look, str]:
    """Choose pattern, colours that go together, and accents.

    Returns:
        The look, and the name of its main colour.
    """
    pattern = dice.pick("pattern", patterns)
    colour = dice.pick("colour", PATTERN_COLOURS.get(pattern, colours))
    partners = PARTNERS[colour]
    first = int(dice.unit("partner") * len(partners))
    second, third = (PALETTE[partners[(first + step) % len(partners)]] for step in (0, 1))
    if pattern == "leopard":
        second = SPOTS
    fabric = Fabric(
        pattern,
        PALETTE[colour],
        second,
        third,
        scale=dice.between("scale", 0.8, 1.25),
        phase=dice.between("phase", 0, 1),
    )
    printed = printable and pattern == "plain" and dice.chance("printed", 0.7)
    trim = PALETTE[dice.pick("trim", partners)]
    return Look(style, fabric, trim, dice.pick("motif", MOTIFS) if printed else ""), colour
