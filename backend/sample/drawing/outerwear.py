"""Artists for outerwear: jackets and coats."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing import garment as cut
from backend.sample.drawing.canvas import flipped, oval, path, symmetric
from backend.sample.drawing.garment import Sleeve, Torso
from backend.sample.drawing.patterns import Fabric, contrast, tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas
    from backend.sample.drawing.dice import Dice
    from backend.sample.range import Look

STEEL = (196, 198, 202)
HORN = (74, 52, 38)


def draw_jacket(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a jacket: bomber, trucker, puffer, biker, blazer or anorak."""
    style, fabric = look.style, look.fabric
    torso = Torso(
        top=-0.5 if style == "anorak" else -0.66,
        neck=0.17,
        drop=0.1,
        shoulder=dice.between("shoulder", 0.43, 0.47),
        armhole=0.4,
        chest=dice.between("chest", 0.43, 0.47),
        waist=0.4 if style == "blazer" else dice.between("waist", 0.42, 0.46),
        hem=dice.between("hem", 0.41, 0.46),
        length={"blazer": 0.7, "anorak": 0.72, "biker": 0.46}.get(style, dice.between("length", 0.5, 0.58)),
    )
    ribbed = style == "bomber"
    rib = Fabric("ribbed", look.trim if ribbed else tone(fabric.base, 0.9), scale=0.8)
    sleeve = Sleeve(dice.between("sleeve", 0.96, 1.03), dice.between("angle", 17, 22), 0.105, 0.1 if ribbed else 0.0)
    cut.lining(canvas, torso, tone(look.trim if style == "blazer" else fabric.base, 0.6))
    cut.sleeves(canvas, torso, sleeve, _sleeve_cloth(look), rib)
    canvas.part(torso.outline(), fabric, relief=1.2)
    cut.drape(canvas, torso, dice.between("lean", -1, 1), 0.8)
    _JACKETS[style](canvas, torso, look, rib)


def _sleeve_cloth(look: Look) -> Fabric:
    return replace(look.fabric, pattern="channels") if look.style in {"puffer", "long puffer"} else look.fabric


def _bomber(canvas: Canvas, torso: Torso, look: Look, rib: Fabric) -> None:
    cut.hem_band(canvas, torso, 0.11, rib)
    cut.zip_line(canvas, [(0.0, torso.top + torso.drop), (0.0, torso.length + 0.03)], look.fabric.base)
    canvas.band(torso.full_neckline() + np.array([0.0, -0.015]), 0.085, rib, relief=0.5)
    _welts(canvas, 0.24, 0.12, look)


def _trucker(canvas: Canvas, torso: Torso, look: Look, _rib: Fabric) -> None:
    fabric, thread = look.fabric, (222, 176, 110)
    low = torso.length
    for side in (-1, 1):
        canvas.stitches([(side * 0.13, -0.24), (side * 0.1, low - 0.06)], thread)
        canvas.stitches([(side * 0.31, -0.24), (side * 0.22, low - 0.06)], thread)
        cut.patch_pocket(canvas, side * 0.22, -0.27, 0.1, 0.2, fabric, flap=0.09)
    canvas.line([(-torso.chest, -0.27), (torso.chest, -0.27)], contrast(fabric.base, 0.35), width=0.012)
    canvas.line([(-torso.hem, low - 0.09), (torso.hem, low - 0.09)], contrast(fabric.base, 0.35), width=0.012)
    canvas.stitches([(-torso.hem, low - 0.07), (torso.hem, low - 0.07)], thread)
    canvas.line([(0.045, torso.top + torso.drop), (0.045, low + 0.02)], contrast(fabric.base, 0.35), width=0.012)
    cut.buttons(canvas, 0.0, torso.top + torso.drop + 0.07, low - 0.04, 6, (204, 190, 160), radius=0.022)
    cut.shirt_collar(canvas, torso, fabric, reach=0.15)


def quilt(canvas: Canvas, torso: Torso, look: Look, rows: int) -> None:
    """Puff a body up: seams across, each with a shadow below and a light above."""
    seam = contrast(look.fabric.base, 0.4)
    folds: list[tuple[list[tuple[float, float]], float]] = []
    for y in np.linspace(torso.top + 0.22, torso.length - 0.09, rows):
        height = float(y)
        line = [(-torso.chest, height - 0.012), (0.0, height + 0.012), (torso.chest, height - 0.012)]
        canvas.inlay([*line, *[(x, z + 0.014) for x, z in line[::-1]]], look.fabric.plain(seam))
        folds += [(line, -0.5), ([(x, z + 0.075) for x, z in line], 0.34)]
    canvas.folds(folds, width=0.045, blur=1.8)


def _puffer(canvas: Canvas, torso: Torso, look: Look, _rib: Fabric) -> None:
    quilt(canvas, torso, look, 6)
    cut.zip_line(canvas, [(0.0, torso.top), (0.0, torso.length + 0.02)], look.trim)
    _stand_collar(canvas, torso, look.fabric)


def _stand_collar(canvas: Canvas, torso: Torso, fabric: Fabric) -> None:
    wide, top = torso.neck, torso.top
    collar = symmetric(
        [(0.0, top - 0.08), (wide * 0.9, top - 0.1)],
        [(wide * 0.9, top - 0.1), (wide * 1.2, top - 0.01), (wide * 1.15, top + 0.05)],
        [(wide * 1.15, top + 0.05), (wide * 0.6, top + 0.12), (0.0, top + 0.13)],
    )
    canvas.part(collar, fabric)
    canvas.line([(0.0, top - 0.07), (0.0, top + 0.13)], contrast(fabric.base, 0.4), width=0.016)


def _biker(canvas: Canvas, torso: Torso, look: Look, _rib: Fabric) -> None:
    fabric, low = look.fabric, torso.length
    cut.zip_line(canvas, [(0.16, torso.top + 0.3), (0.03, low + 0.02)], fabric.base)
    for x, y in ((0.3, 0.08), (-0.28, 0.08)):
        canvas.line([(x - 0.07, y + 0.07), (x + 0.05, y - 0.06)], STEEL, width=0.018)
    canvas.line([(-torso.hem, low - 0.1), (torso.hem, low - 0.1)], contrast(fabric.base, 0.4), width=0.012)
    canvas.blob([(0.13, low - 0.085), (0.2, low - 0.085), (0.2, low - 0.015), (0.13, low - 0.015)], STEEL)
    canvas.folds([([(-0.32, -0.3), (-0.2, 0.2)], 0.3), ([(0.3, -0.25), (0.26, 0.1)], 0.22)], width=0.06)
    cut.lapels(canvas, torso, fabric, depth=0.34, width=0.23)
    for side in (-1, 1):
        canvas.dot((side * 0.2, torso.top + 0.12), 0.014, STEEL)


def _blazer(canvas: Canvas, torso: Torso, look: Look, _rib: Fabric) -> None:
    fabric = look.fabric
    shirt = symmetric(
        [(0.0, torso.top + 0.02), (0.1, torso.top + 0.02)], [(0.1, torso.top + 0.02), (0.0, torso.top + 0.5)]
    )
    canvas.inlay(shirt, fabric.plain(tone(look.trim, 0.66)))
    canvas.line([(0.0, torso.top + 0.5), (0.02, torso.length + 0.02)], contrast(fabric.base, 0.4), width=0.014)
    cut.lapels(canvas, torso, fabric, depth=0.52, width=0.22)
    cut.buttons(canvas, 0.045, 0.0, 0.2, 2, HORN, radius=0.028)
    for side in (-1, 1):
        canvas.blob(
            [(side * 0.16, 0.28), (side * 0.34, 0.25), (side * 0.34, 0.31), (side * 0.16, 0.34)],
            tone(fabric.base, 0.82),
        )
    canvas.line([(0.2, -0.22), (0.31, -0.25)], contrast(fabric.base, 0.45), width=0.026)


def _anorak(canvas: Canvas, torso: Torso, look: Look, _rib: Fabric) -> None:
    hood(canvas, torso, look)
    cut.zip_line(canvas, [(0.0, torso.top + 0.19), (0.0, torso.length + 0.02)], look.trim)
    for side in (-1, 1):
        cut.patch_pocket(canvas, side * 0.25, 0.28, 0.13, 0.26, look.fabric, flap=0.09)
    canvas.line([(-torso.waist, 0.16), (0.0, 0.19), (torso.waist, 0.16)], contrast(look.fabric.base, 0.3), width=0.014)


def hood(canvas: Canvas, torso: Torso, look: Look) -> None:
    """Draw a hood that is up behind the neck, with its lining showing."""
    top, wide = torso.top, torso.neck
    shell = symmetric(
        [
            (0, top - 0.33),
            (wide * 1.05, top - 0.26),
            (wide * 1.55, top - 0.02),
            (wide * 1.3, top + 0.12),
            (0, top + 0.21),
        ]
    )
    canvas.part(shell, look.fabric, relief=1.2)
    mouth = symmetric(
        [(0, top - 0.23), (wide * 0.7, top - 0.17), (wide * 0.9, top), (wide * 0.5, top + 0.12), (0, top + 0.18)]
    )
    canvas.part(mouth, look.fabric.plain(tone(look.fabric.base, 0.6)), relief=-0.9)


def _welts(canvas: Canvas, x: float, y: float, look: Look) -> None:
    for side in (-1, 1):
        canvas.line([(side * x, y), (side * (x + 0.08), y + 0.18)], contrast(look.fabric.base, 0.42), width=0.024)


_JACKETS = {
    "bomber": _bomber,
    "trucker": _trucker,
    "puffer": _puffer,
    "biker": _biker,
    "blazer": _blazer,
    "anorak": _anorak,
}


def draw_coat(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a coat: trench, overcoat, duffle, peacoat, long puffer or wrap coat."""
    style, fabric = look.style, look.fabric
    hooded = style == "duffle"
    torso = Torso(
        top=-0.6 if hooded else -0.84,
        neck=0.145,
        drop=0.1,
        shoulder=dice.between("shoulder", 0.36, 0.4),
        armhole=0.34,
        chest=dice.between("chest", 0.36, 0.4),
        waist=dice.between("waist", 0.34, 0.38) - 0.03 * (style in {"trench", "wrap"}),
        hem=dice.between("hem", 0.38, 0.5),
        length=0.62 if style == "peacoat" else dice.between("length", 0.76, 0.88),
    )
    sleeve = Sleeve(dice.between("sleeve", 0.9, 0.96), dice.between("angle", 14, 18), 0.095, 0.0)
    cut.lining(canvas, torso, tone(look.trim, 0.6))
    cut.sleeves(canvas, torso, sleeve, _sleeve_cloth(look))
    canvas.part(torso.outline(), fabric, relief=1.2)
    cut.drape(canvas, torso, dice.between("lean", -1, 1))
    _COATS[style](canvas, torso, look)


def _front(canvas: Canvas, torso: Torso, look: Look, x: float, start: float) -> None:
    line = [(x, torso.top + start), (x + 0.02, torso.length + 0.02)]
    canvas.line(line, contrast(look.fabric.base, 0.4), width=0.014)
    canvas.folds([([(a + 0.03, b) for a, b in line], -0.22)], width=0.05)


def _belt(canvas: Canvas, torso: Torso, look: Look, y: float, *, knot: bool) -> None:
    fabric = look.fabric
    wide = torso.waist + 0.012
    strap = np.array([(-wide, y - 0.045), (wide, y - 0.045), (wide, y + 0.045), (-wide, y + 0.045)])
    if knot:
        for end in ([(0.05, y), (0.1, y + 0.2), (0.08, y + 0.34)], [(0.06, y), (0.16, y + 0.16), (0.18, y + 0.26)]):
            canvas.band(path(end), 0.065, fabric.plain(tone(fabric.base, 0.93)), relief=0.5)
    canvas.part(strap, fabric.plain(tone(fabric.base, 0.9)), relief=0.5)
    if knot:
        canvas.part(oval((0.055, y), 0.055, 0.06), fabric.plain(tone(fabric.base, 0.95)))
    else:
        frame = [(-0.07, y - 0.055), (0.07, y - 0.055), (0.07, y + 0.055), (-0.07, y + 0.055), (-0.07, y - 0.055)]
        canvas.line(frame, HORN, width=0.026)


def _trench(canvas: Canvas, torso: Torso, look: Look) -> None:
    _front(canvas, torso, look, 0.14, 0.3)
    cut.lapels(canvas, torso, look.fabric, depth=0.34, width=0.24)
    for x in (-0.1, 0.1):
        cut.buttons(canvas, x, torso.top + 0.44, 0.36, 4, HORN, radius=0.024)
    _belt(canvas, torso, look, 0.0, knot=False)
    for side in (-1, 1):
        canvas.line([(side * 0.24, 0.2), (side * 0.29, 0.36)], contrast(look.fabric.base, 0.35), width=0.03)


def _overcoat(canvas: Canvas, torso: Torso, look: Look) -> None:
    _front(canvas, torso, look, 0.03, 0.5)
    cut.lapels(canvas, torso, look.fabric, depth=0.52, width=0.2)
    cut.buttons(canvas, 0.0, torso.top + 0.6, 0.2, 3, HORN, radius=0.026)
    for side in (-1, 1):
        canvas.blob(
            [(side * 0.15, 0.26), (side * 0.32, 0.24), (side * 0.32, 0.31), (side * 0.15, 0.33)],
            tone(look.fabric.base, 0.8),
        )


def _duffle(canvas: Canvas, torso: Torso, look: Look) -> None:
    _front(canvas, torso, look, 0.0, 0.2)
    for y in (-0.28, -0.08, 0.12):
        for side in (-1, 1):
            canvas.line(
                path(
                    [(0.0, y - 0.015), (side * 0.08, y - 0.02), (side * 0.13, y)],
                    [(side * 0.13, y), (side * 0.08, y + 0.02), (0.0, y + 0.015)],
                ),
                (200, 172, 122),
                width=0.014,
            )
        canvas.line([(-0.055, y), (0.055, y)], HORN, width=0.036)
    hood(canvas, torso, look)
    for side in (-1, 1):
        cut.patch_pocket(canvas, side * 0.21, 0.32, 0.11, 0.2, look.fabric, flap=0.07)


def _peacoat(canvas: Canvas, torso: Torso, look: Look) -> None:
    _front(canvas, torso, look, 0.15, 0.34)
    cut.lapels(canvas, torso, look.fabric, depth=0.36, width=0.25)
    for x in (-0.12, 0.12):
        cut.buttons(canvas, x, torso.top + 0.5, 0.22, 4, look.trim, radius=0.03)
    _welts(canvas, 0.24, 0.1, look)


def _long_puffer(canvas: Canvas, torso: Torso, look: Look) -> None:
    quilt(canvas, torso, look, 9)
    cut.zip_line(canvas, [(0.0, torso.top), (0.0, torso.length + 0.02)], look.trim)
    _stand_collar(canvas, torso, look.fabric)


def _wrap(canvas: Canvas, torso: Torso, look: Look) -> None:
    _front(canvas, torso, look, 0.12, 0.7)
    collar = path(
        [(torso.neck * 0.8, torso.top - 0.07), (0.1, torso.top + 0.3), (0.02, torso.top + 0.72)],
        [
            (0.02, torso.top + 0.72),
            (0.2, torso.top + 0.44),
            (torso.neck * 1.5, torso.top - 0.0),
            (torso.neck * 0.8, torso.top - 0.07),
        ],
    )
    canvas.part(flipped(collar), look.fabric, relief=0.6)
    canvas.part(collar, look.fabric, relief=0.6)
    _belt(canvas, torso, look, -0.02, knot=True)


_COATS = {
    "trench": _trench,
    "overcoat": _overcoat,
    "duffle": _duffle,
    "peacoat": _peacoat,
    "long puffer": _long_puffer,
    "wrap": _wrap,
}
