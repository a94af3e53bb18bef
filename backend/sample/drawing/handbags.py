"""Artist for handbags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing.canvas import box, closed, oval, spline, symmetric
from backend.sample.drawing.patterns import Fabric, contrast, tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas, Point
    from backend.sample.drawing.dice import Dice
    from backend.sample.range import Look

GOLD = (212, 180, 106)


def draw_handle(canvas: Canvas, centre: Point, half: float, height: float, width: float, fabric: Fabric) -> None:
    """Draw a handle that rises from both sides of a point."""
    x, y = centre
    arch = [
        (x - half, y),
        (x - half * 0.86, y - height * 0.72),
        (x, y - height),
        (x + half * 0.86, y - height * 0.72),
        (x + half, y),
    ]
    canvas.band(spline(arch), width, fabric)


def draw_handbag(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a handbag: tote, satchel, crossbody, bucket, crescent, clutch or basket."""
    _HANDBAGS[look.style](canvas, look, dice)


def _tote(canvas: Canvas, look: Look, dice: Dice) -> None:
    wide, low = dice.between("wide", 0.5, 0.62), dice.between("low", 0.68, 0.76)
    drop, strap = dice.between("drop", 0.5, 0.72), look.fabric.plain(look.trim)
    draw_handle(canvas, (0.03, -0.14), wide * 0.52, drop * 0.92, 0.06, strap.plain(tone(look.trim, 0.75)))
    body = symmetric(
        [(0.0, -0.18), (wide, -0.2)],
        [(wide, -0.2), (wide * 0.98, 0.3), (wide * 0.9, low)],
        [(wide * 0.9, low), (wide * 0.4, low + 0.02), (0.0, low + 0.02)],
    )
    canvas.part(body, look.fabric, relief=1.1)
    canvas.folds(
        [([(-wide * 0.5, -0.05), (-wide * 0.4, low)], -0.16), ([(wide * 0.4, 0.0), (wide * 0.5, low)], 0.14)], width=0.1
    )
    draw_handle(canvas, (0.0, -0.06), wide * 0.55, drop, 0.065, strap)
    for side in (-1, 1):
        x = side * wide * 0.55
        canvas.blob([(x - 0.045, -0.1), (x + 0.045, -0.1), (x + 0.045, 0.06), (x - 0.045, 0.06)], look.trim)
        canvas.dot((x, 0.02), 0.018, GOLD)
    canvas.stitches([(-wide + 0.02, -0.14), (wide - 0.02, -0.14)], contrast(look.fabric.base, 0.35), dash=3)
    if dice.chance("base", 0.5):
        canvas.inlay([(-1, low - 0.2), (1, low - 0.2), (1, 1), (-1, 1)], strap)


def _satchel(canvas: Canvas, look: Look, dice: Dice) -> None:
    wide, top, low = dice.between("wide", 0.6, 0.7), -0.22, dice.between("low", 0.5, 0.6)
    draw_handle(
        canvas,
        (0.0, top + 0.03),
        0.24,
        dice.between("handle", 0.3, 0.4),
        0.085,
        look.fabric.plain(tone(look.fabric.base, 0.85)),
    )
    body = symmetric(
        [(0.0, top), (wide - 0.08, top)],
        [(wide - 0.08, top), (wide - 0.01, top + 0.03), (wide, top + 0.14)],
        [(wide, top + 0.14), (wide + 0.02, low - 0.1), (wide - 0.06, low)],
        [(wide - 0.06, low), (0.0, low + 0.015)],
    )
    canvas.part(body, look.fabric, relief=1.2)
    edge = dice.between("flap", 0.16, 0.28)
    flap = symmetric(
        [(0.0, top - 0.015), (wide - 0.05, top - 0.015)],
        [(wide - 0.05, top - 0.015), (wide + 0.005, top + 0.12), (wide - 0.02, edge - 0.1)],
        [(wide - 0.02, edge - 0.1), (wide * 0.6, edge), (0.0, edge + 0.02)],
    )
    canvas.part(flap, look.fabric, relief=1.0)
    for side in (-1, 1):
        _buckled_strap(canvas, look, side * wide * 0.5, top + 0.02, edge)


def _buckled_strap(canvas: Canvas, look: Look, x: float, top: float, edge: float) -> None:
    tip = [(x + 0.05, edge + 0.12), (x, edge + 0.16), (x - 0.05, edge + 0.12)]
    strap = np.array([(x - 0.05, top), (x + 0.05, top), *tip])
    canvas.part(strap, look.fabric.plain(look.trim), relief=0.5)
    canvas.line(closed(box(x - 0.065, edge - 0.03, x + 0.065, edge + 0.06)), GOLD, width=0.026)


def _crossbody(canvas: Canvas, look: Look, dice: Dice) -> None:
    wide, top, low = dice.between("wide", 0.44, 0.54), 0.0, dice.between("low", 0.56, 0.66)
    chain = dice.chance("chain", 0.45)
    strap = spline(
        [
            (-wide + 0.05, top + 0.06),
            (-wide * 0.86, -0.5),
            (-0.1, -0.86),
            (wide * 0.7, -0.56),
            (wide - 0.05, top + 0.06),
        ],
        steps=14,
    )
    if chain:
        for point in strap[::2]:
            canvas.band(np.array([[-0.012, 0.0], [0.012, 0.014]]) + point, 0.034, Fabric("plain", GOLD), relief=0.2)
    else:
        canvas.band(strap, 0.055, look.fabric.plain(tone(look.fabric.base, 0.85)))
    body = symmetric(
        [(0.0, top), (wide - 0.06, top)],
        [(wide - 0.06, top), (wide, top + 0.1), (wide, low - 0.1), (wide - 0.08, low)],
        [(wide - 0.08, low), (0.0, low + 0.01)],
    )
    canvas.part(body, look.fabric, relief=1.2)
    edge = low - dice.between("edge", 0.16, 0.26)
    flap = symmetric(
        [(0.0, top - 0.02), (wide - 0.05, top - 0.02)],
        [(wide - 0.05, top - 0.02), (wide + 0.012, top + 0.1), (wide * 0.94, edge - 0.14)],
        [(wide * 0.94, edge - 0.14), (wide * 0.5, edge), (0.0, edge + 0.01)],
    )
    canvas.part(flap, look.fabric, relief=1.1)
    canvas.blob(
        np.array([(-0.075, edge - 0.08), (0.075, edge - 0.08), (0.075, edge + 0.02), (-0.075, edge + 0.02)]), GOLD
    )
    canvas.line([(-0.04, edge - 0.03), (0.04, edge - 0.03)], tone(GOLD, 0.65), width=0.022)


def _bucket(canvas: Canvas, look: Look, dice: Dice) -> None:
    wide, low = dice.between("wide", 0.4, 0.47), dice.between("low", 0.68, 0.76)
    canvas.band(
        spline([(-wide * 0.86, -0.1), (-wide * 0.7, -0.64), (0.0, -0.86), (wide * 0.7, -0.64), (wide * 0.86, -0.1)]),
        0.07,
        look.fabric.plain(look.trim),
    )
    canvas.part(oval((0.0, -0.17), wide * 0.9, 0.09), look.fabric.plain(tone(look.fabric.base, 0.55)), relief=0.0)
    body = symmetric(
        [(0.0, -0.09), (wide * 0.5, -0.11), (wide * 0.9, -0.19)],
        [(wide * 0.9, -0.19), (wide * 1.02, 0.2), (wide * 1.12, low - 0.06)],
        [(wide * 1.12, low - 0.06), (wide * 0.6, low + 0.01), (0.0, low + 0.03)],
    )
    canvas.part(body, look.fabric, relief=1.2)
    canvas.folds(
        [
            ([(x * wide, -0.1), (x * wide * 1.1, 0.16)], s)
            for x, s in ((-0.7, -0.4), (-0.45, 0.25), (-0.15, -0.35), (0.15, 0.25), (0.4, -0.35), (0.7, -0.3))
        ],
        width=0.05,
    )
    cord = spline([(-wide * 0.94, 0.0), (-wide * 0.4, 0.07), (0.0, 0.085), (wide * 0.4, 0.07), (wide * 0.94, 0.0)])
    canvas.line(cord, look.trim, width=0.026)
    for end in ([(0.0, 0.09), (-0.05, 0.22), (-0.04, 0.34)], [(0.0, 0.09), (0.06, 0.2), (0.05, 0.37)]):
        canvas.line(spline(end), look.trim, width=0.024)
        canvas.dot(end[-1], 0.034, look.trim)


def _crescent(canvas: Canvas, look: Look, dice: Dice) -> None:
    wide, deep = dice.between("wide", 0.66, 0.76), dice.between("deep", 0.56, 0.64)
    canvas.band(
        spline([(-wide * 0.9, -0.02), (-wide * 0.62, -0.5), (0.0, -0.74), (wide * 0.62, -0.5), (wide * 0.9, -0.02)]),
        dice.between("strap", 0.07, 0.11),
        look.fabric.plain(look.trim if dice.chance("strap-trim", 0.4) else look.fabric.base),
    )
    body = symmetric(
        [(0.0, 0.08), (wide * 0.5, 0.02), (wide * 0.95, -0.12)],
        [(wide * 0.95, -0.12), (wide * 1.02, 0.14), (wide * 0.6, deep - 0.08), (0.0, deep)],
    )
    canvas.part(body, look.fabric, relief=1.4)
    canvas.folds(
        [
            ([(-wide * 0.5, 0.1), (-0.1, 0.24), (wide * 0.4, 0.14)], -0.18),
            ([(-wide * 0.4, 0.3), (wide * 0.1, deep - 0.16)], 0.2),
        ],
        width=0.08,
    )
    rim = spline([(-wide * 0.9, -0.06), (-wide * 0.5, 0.06), (0.0, 0.115), (wide * 0.5, 0.06), (wide * 0.9, -0.06)])
    canvas.line(rim, GOLD, width=0.02)
    for side in (-1, 1):
        canvas.line(oval((side * wide * 0.9, -0.05), 0.05, 0.06), GOLD, width=0.024)


def _clutch(canvas: Canvas, look: Look, dice: Dice) -> None:
    wide, top, low = dice.between("wide", 0.72, 0.82), -0.26, dice.between("low", 0.34, 0.44)
    body = symmetric(
        [(0.0, top), (wide - 0.03, top)],
        [(wide - 0.03, top), (wide, top + 0.05), (wide, low - 0.05), (wide - 0.04, low)],
        [(wide - 0.04, low), (0.0, low + 0.01)],
    )
    canvas.part(body, look.fabric, relief=1.1)
    point = dice.between("point", 0.06, 0.18)
    flap = symmetric(
        [(0.0, top - 0.01), (wide - 0.02, top - 0.01)],
        [(wide - 0.02, top - 0.01), (wide, top + 0.12)],
        [(wide, top + 0.12), (0.06, point), (0.0, point + 0.01)],
    )
    canvas.part(flap, look.fabric, relief=1.0)
    canvas.folds([([(-wide * 0.8, top + 0.06), (wide * 0.2, top + 0.08)], 0.25)], width=0.06)
    canvas.dot((0.0, point - 0.06), 0.05, GOLD)
    if dice.chance("wrist", 0.5):
        canvas.band(
            spline(
                [
                    (wide - 0.06, top + 0.06),
                    (wide + 0.08, top + 0.24),
                    (wide - 0.02, low + 0.08),
                    (wide - 0.12, low - 0.16),
                ]
            ),
            0.05,
            look.fabric.plain(look.trim),
        )


def _basket(canvas: Canvas, look: Look, dice: Dice) -> None:
    wide, low = dice.between("wide", 0.56, 0.64), dice.between("low", 0.56, 0.64)
    straw = Fabric("woven", dice.pick("straw", ((214, 182, 130), (196, 158, 104), (226, 204, 160))))
    leather = look.fabric.plain()
    draw_handle(canvas, (0.03, -0.14), 0.26, 0.48, 0.05, leather.plain(tone(leather.base, 0.75)))
    body = symmetric(
        [(0.0, -0.14), (wide, -0.2)],
        [(wide, -0.2), (wide * 0.96, 0.2), (wide * 0.7, low)],
        [(wide * 0.7, low), (0.0, low + 0.03)],
    )
    canvas.part(body, straw, relief=1.2)
    canvas.inlay([(-1.0, 0.02), (1.0, 0.02), (1.0, 0.16), (-1.0, 0.16)], Fabric("woven", look.fabric.base))
    draw_handle(canvas, (0.0, -0.06), 0.28, 0.52, 0.055, leather)
    for side in (-1, 1):
        canvas.dot((side * 0.28, -0.05), 0.04, GOLD)


_HANDBAGS = {
    "tote": _tote,
    "satchel": _satchel,
    "crossbody": _crossbody,
    "bucket": _bucket,
    "crescent": _crescent,
    "clutch": _clutch,
    "basket": _basket,
}
