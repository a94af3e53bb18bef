"""Ten pictures of things that no shop here sells, drawn by code: 300 x 400, RGB, the same every time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE, HEIGHT = 300, 400
_TEXT = "The harbour was quiet before dawn and nobody saw the boat leave its berth under the old crane"


def face(draw: ImageDraw.ImageDraw) -> None:
    """A face with hair, eyes, nose and mouth."""
    draw.ellipse((55, 60, 245, 330), fill=(233, 190, 160))
    draw.pieslice((50, 40, 250, 250), 180, 360, fill=(70, 45, 30))
    for x in (105, 195):
        draw.ellipse((x - 22, 170, x + 22, 196), fill="white")
        draw.ellipse((x - 9, 174, x + 9, 192), fill=(50, 80, 120))
        draw.line((x - 25, 155, x + 25, 152), fill=(70, 45, 30), width=6)
    draw.polygon([(150, 190), (135, 245), (165, 245)], fill=(214, 165, 135))
    draw.chord((105, 255, 195, 300), 0, 180, fill=(180, 60, 70))


def car(draw: ImageDraw.ImageDraw) -> None:
    """A red car on a road, from the side."""
    draw.rectangle((0, 0, 300, 270), fill=(170, 205, 235))
    draw.rectangle((0, 270, 300, 400), fill=(90, 90, 95))
    draw.rounded_rectangle((20, 190, 280, 270), 22, fill=(200, 30, 30))
    draw.polygon([(75, 192), (105, 140), (205, 140), (240, 192)], fill=(200, 30, 30))
    draw.polygon([(88, 188), (111, 150), (150, 150), (150, 188)], fill=(200, 230, 245))
    draw.polygon([(158, 188), (158, 150), (198, 150), (222, 188)], fill=(200, 230, 245))
    for x in (80, 220):
        draw.ellipse((x - 34, 236, x + 34, 304), fill=(25, 25, 25))
        draw.ellipse((x - 15, 255, x + 15, 285), fill=(190, 190, 195))
    for x in range(10, 300, 70):
        draw.rectangle((x, 345, x + 40, 353), fill="white")


def landscape(draw: ImageDraw.ImageDraw) -> None:
    """Mountains, a lake and a sun."""
    for y in range(230):
        draw.line((0, y, 300, y), fill=(110 + y // 2, 160 + y // 3, 235))
    draw.ellipse((215, 35, 265, 85), fill=(255, 235, 150))
    draw.polygon([(-40, 240), (70, 90), (170, 240)], fill=(95, 105, 125))
    draw.polygon([(70, 90), (50, 118), (72, 130), (92, 122)], fill="white")
    draw.polygon([(90, 240), (210, 120), (340, 240)], fill=(75, 88, 105))
    draw.rectangle((0, 240, 300, 330), fill=(60, 120, 170))
    draw.rectangle((0, 330, 300, 400), fill=(70, 130, 60))
    for x in range(0, 300, 14):
        draw.line((x, 400, x + 5, 338 + x % 23), fill=(45, 95, 40), width=4)


def text_page(draw: ImageDraw.ImageDraw) -> None:
    """A page of print."""
    draw.rectangle((0, 0, 300, 400), fill=(250, 249, 244))
    words = _TEXT.split()
    for line in range(25):
        told = " ".join(words[(line * 5 + word) % len(words)] for word in range(7))
        draw.text((24, 20 + 14 * line), told[:42], fill=(20, 20, 20))


def chessboard(draw: ImageDraw.ImageDraw) -> None:
    """A chessboard with some men on it."""
    draw.rectangle((0, 0, 300, 400), fill=(120, 80, 50))
    for row in range(8):
        for column in range(8):
            light = (row + column) % 2 == 0
            x, y = 14 + 34 * column, 64 + 34 * row
            draw.rectangle((x, y, x + 33, y + 33), fill=(235, 215, 180) if light else (100, 60, 35))
            if row in {0, 1, 6, 7}:
                draw.ellipse((x + 9, y + 9, x + 25, y + 25), fill="black" if row < 2 else "white", outline=(90, 90, 90))


def tree(draw: ImageDraw.ImageDraw) -> None:
    """A tree on a meadow."""
    draw.rectangle((0, 0, 300, 310), fill=(190, 220, 245))
    draw.rectangle((0, 310, 300, 400), fill=(105, 160, 75))
    draw.polygon([(136, 345), (142, 190), (160, 190), (168, 345)], fill=(95, 65, 40))
    for x, y, r in ((150, 110, 75), (95, 150, 50), (205, 150, 52), (120, 80, 45), (185, 85, 48), (150, 175, 55)):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(40 + r // 2, 115 + r // 3, 45))


def house(draw: ImageDraw.ImageDraw) -> None:
    """A house with a roof, a door and windows."""
    draw.rectangle((0, 0, 300, 330), fill=(175, 210, 240))
    draw.rectangle((0, 330, 300, 400), fill=(120, 165, 90))
    draw.rectangle((50, 180, 250, 345), fill=(230, 215, 185))
    draw.polygon([(30, 182), (150, 85), (270, 182)], fill=(165, 70, 50))
    draw.rectangle((200, 95, 225, 150), fill=(140, 80, 65))
    draw.rectangle((130, 255, 172, 345), fill=(95, 60, 40))
    for x in (70, 190):
        draw.rectangle((x, 210, x + 42, 250), fill=(150, 195, 225), outline="white", width=4)
        draw.line((x + 21, 210, x + 21, 250), fill="white", width=3)


def fruit(draw: ImageDraw.ImageDraw) -> None:
    """A bowl of fruit on a table."""
    draw.rectangle((0, 0, 300, 250), fill=(205, 190, 170))
    draw.rectangle((0, 250, 300, 400), fill=(135, 90, 55))
    for x, y, r, colour in (
        *((105, 205, 42, (205, 40, 40)), (190, 205, 44, (240, 150, 30)), (150, 170, 40, (120, 180, 50))),
        *((75, 225, 30, (240, 205, 60)), (225, 225, 30, (110, 40, 110))),
    ):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        draw.ellipse((x - r // 2, y - r // 2, x - r // 5, y - r // 5), fill=tuple(min(255, c + 60) for c in colour))
    draw.chord((35, 130, 265, 340), 0, 180, fill=(70, 100, 150))
    draw.rectangle((115, 335, 185, 350), fill=(50, 75, 120))


_DRAWN: tuple[Callable[[ImageDraw.ImageDraw], None], ...] = (
    *(face, car, landscape, text_page, chessboard, tree, house, fruit),
)


def strange_pictures() -> dict[str, Image.Image]:
    """Return the ten by name."""
    found = {}
    for draws in _DRAWN:
        image = Image.new("RGB", (SIDE, HEIGHT), "white")
        draws(ImageDraw.Draw(image))
        found[draws.__name__] = image.filter(ImageFilter.GaussianBlur(0.6))
    noise = np.random.default_rng(5).integers(0, 256, (HEIGHT, SIDE, 3), dtype=np.uint8)
    down, across = np.mgrid[0:HEIGHT, 0:SIDE]
    shades = np.stack([255 * across / SIDE, 255 * down / HEIGHT, 255 - 255 * across / SIDE], axis=2).astype(np.uint8)
    return {**found, "noise": Image.fromarray(noise), "gradient": Image.fromarray(shades)}
