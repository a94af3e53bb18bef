"""Artist for hats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing.canvas import oval, path, spline, symmetric
from backend.sample.drawing.patterns import Fabric, contrast, tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas
    from backend.sample.drawing.dice import Dice
    from backend.sample.range import Look

STEEL = (188, 190, 196)


def draw_hat(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a hat: fedora, bucket hat, beanie, baseball cap, straw hat or beret."""
    _HATS[look.style](canvas, look, dice)


def _brim(canvas: Canvas, fabric: Fabric, wide: float, y: float, dip: float) -> None:
    shape = symmetric(
        [(0.0, y - dip * 0.6), (wide * 0.6, y - dip * 0.75), (wide, y - dip * 0.5)],
        [(wide, y - dip * 0.5), (wide * 0.7, y + dip * 0.55), (0.0, y + dip)],
    )
    canvas.part(shape, fabric, relief=1.0)


def _fedora(canvas: Canvas, look: Look, dice: Dice) -> None:
    wide, tall = dice.between("brim", 0.8, 0.92), dice.between("tall", 0.58, 0.68)
    y, crown = 0.3, dice.between("crown", 0.42, 0.48)
    _brim(canvas, look.fabric, wide, y, dice.between("dip", 0.16, 0.22))
    body = symmetric(
        [(0.0, y - tall + 0.06), (crown * 0.4, y - tall), (crown * 0.74, y - tall + 0.1)],
        [(crown * 0.74, y - tall + 0.1), (crown * 0.92, y - 0.26), (crown, y - 0.02)],
        [(crown, y - 0.02), (crown * 0.6, y + 0.06), (0.0, y + 0.08)],
    )
    canvas.part(body, look.fabric, relief=1.2)
    canvas.folds(
        [
            ([(-0.03, y - tall + 0.04), (0.0, y - tall + 0.2)], -0.5),
            ([(0.2, y - tall + 0.12), (0.16, y - 0.24)], -0.22),
            ([(-0.22, y - tall + 0.14), (-0.24, y - 0.22)], 0.3),
        ],
        width=0.09,
    )
    _ribbon(canvas, look.fabric.plain(look.trim), crown, y, 0.15)


def _ribbon(canvas: Canvas, fabric: Fabric, crown: float, y: float, height: float) -> None:
    lower = [
        (-crown * 1.0, y - 0.02),
        (-crown * 0.6, y + 0.06),
        (0.0, y + 0.08),
        (crown * 0.6, y + 0.06),
        (crown * 1.0, y - 0.02),
    ]
    upper = [(x * 0.96, z - height) for x, z in lower]
    canvas.part(path(lower, upper[::-1]), fabric, relief=0.4)


def _bucket_hat(canvas: Canvas, look: Look, dice: Dice) -> None:
    top, wide = dice.between("top", 0.38, 0.44), dice.between("brim", 0.7, 0.8)
    low = dice.between("low", 0.46, 0.54)
    brim = symmetric(
        [(0.0, 0.04), (0.52, 0.0)],
        [(0.52, 0.0), (wide, low - 0.08)],
        [(wide, low - 0.08), (wide * 0.6, low + 0.06), (0.0, low + 0.11)],
    )
    canvas.part(brim, look.fabric, relief=1.1)
    for i in range(1, 4):
        share = i / 4
        x, y = 0.52 + (wide - 0.52) * share, 0.1 + (low - 0.08) * share
        canvas.line(
            spline([(-x, y - 0.08), (-x * 0.6, y + 0.05), (0.0, y + 0.1), (x * 0.6, y + 0.05), (x, y - 0.08)]),
            contrast(look.fabric.base, 0.2),
            width=0.008,
        )
    crown = symmetric(
        [(0.0, -0.52), (top * 0.8, -0.5), (top, -0.44)],
        [(top, -0.44), (0.5, -0.1), (0.54, 0.04)],
        [(0.54, 0.04), (0.3, 0.12), (0.0, 0.15)],
    )
    canvas.part(crown, look.fabric, relief=1.2)
    canvas.line(spline([(-top, -0.42), (0.0, -0.34), (top, -0.42)]), contrast(look.fabric.base, 0.3), width=0.012)
    canvas.dot((0.36, -0.08), 0.022, STEEL)
    canvas.dot((0.42, 0.0), 0.022, STEEL)


def _beanie(canvas: Canvas, look: Look, dice: Dice) -> None:
    tall, wide = dice.between("tall", -0.6, -0.46), dice.between("wide", 0.5, 0.56)
    if dice.chance("pompom", 0.5):
        fluff = look.fabric.plain(look.trim)
        for i in range(7):
            angle = i * 0.9
            canvas.part(
                oval((0.1 * np.cos(angle), tall - 0.04 + 0.1 * np.sin(angle)), 0.11, 0.11),
                fluff,
                relief=0.8,
                edge=False,
            )
    body = symmetric(
        [(0.0, tall), (wide * 0.6, tall + 0.1), (wide * 0.96, tall + 0.42), (wide, 0.3)], [(wide, 0.3), (0.0, 0.34)]
    )
    canvas.part(body, look.fabric, relief=1.4)
    canvas.folds(
        [
            ([(x * wide * 0.5, tall + 0.06), (x * wide * 0.9, 0.2)], s)
            for x, s in ((-0.8, 0.2), (-0.35, -0.2), (0.1, 0.12), (0.5, -0.2))
        ],
        width=0.06,
    )
    cuff = symmetric(
        [(0.0, 0.16), (wide * 0.6, 0.15), (wide + 0.035, 0.11)],
        [(wide + 0.035, 0.11), (wide + 0.03, 0.44)],
        [(wide + 0.03, 0.44), (wide * 0.6, 0.49), (0.0, 0.5)],
    )
    canvas.part(
        cuff,
        Fabric("ribbed", look.trim if dice.chance("cuff", 0.3) else tone(look.fabric.base, 0.9), scale=1.1),
        relief=1.2,
    )


def _cap(canvas: Canvas, look: Look, dice: Dice) -> None:
    tall = dice.between("tall", -0.5, -0.4)
    bill = path([(0.1, 0.2), (0.5, 0.12), (0.88, 0.24), (0.96, 0.36)], [(0.96, 0.36), (0.6, 0.38), (0.1, 0.36)])
    canvas.part(bill, look.fabric.plain(look.trim), relief=1.0)
    canvas.stitches(spline([(0.2, 0.24), (0.52, 0.19), (0.84, 0.3)]), contrast(look.trim, 0.3), dash=3)
    crown = path(
        [(-0.68, 0.3), (-0.7, -0.02), (-0.46, tall + 0.1), (-0.1, tall), (0.26, tall + 0.14), (0.5, 0.22)],
        [(0.5, 0.22), (0.1, 0.33), (-0.3, 0.36), (-0.68, 0.3)],
    )
    canvas.part(crown, look.fabric, relief=1.3)
    seam = contrast(look.fabric.base, 0.3)
    canvas.line(spline([(-0.1, tall), (0.12, -0.06), (0.16, 0.32)]), seam, width=0.01)
    canvas.line(spline([(-0.1, tall), (-0.38, -0.1), (-0.42, 0.34)]), seam, width=0.01)
    canvas.dot((-0.1, tall + 0.0), 0.045, look.trim)
    canvas.blob(
        oval((0.28, 0.02), 0.085, 0.11, turn=0.25), look.fabric.second if look.fabric.pattern == "plain" else look.trim
    )
    canvas.dot((-0.2, -0.18), 0.018, seam)


def _straw(canvas: Canvas, look: Look, dice: Dice) -> None:
    straw = Fabric(
        "woven", dice.pick("straw", ((226, 200, 150), (212, 178, 120), (238, 222, 188), (186, 142, 96))), scale=0.8
    )
    wide, y = dice.between("brim", 0.88, 0.95), 0.26
    _brim(canvas, straw, wide, y, dice.between("dip", 0.2, 0.27))
    crown = dice.between("crown", 0.4, 0.46)
    tall = dice.between("tall", 0.46, 0.56)
    flat = dice.chance("boater", 0.5)
    bend = 0.02 if flat else 0.12
    body = symmetric(
        [
            (0.0, y - tall),
            (crown * (0.8 if flat else 0.5), y - tall + bend * 0.3),
            (crown * 0.95, y - tall + bend + 0.02),
        ],
        [(crown * 0.95, y - tall + bend + 0.02), (crown, y - 0.02)],
        [(crown, y - 0.02), (crown * 0.6, y + 0.06), (0.0, y + 0.08)],
    )
    canvas.part(body, straw, relief=1.1)
    _ribbon(canvas, look.fabric, crown, y, 0.17)


def _beret(canvas: Canvas, look: Look, dice: Dice) -> None:
    lean = dice.between("lean", 0.06, 0.14)
    band = path(
        [(-0.46, 0.14), (0.0, 0.26), (0.44, 0.2)],
        [(0.44, 0.2), (0.43, 0.34)],
        [(0.43, 0.34), (0.0, 0.41), (-0.44, 0.28)],
    )
    canvas.part(band, look.fabric.plain(tone(look.fabric.base, 0.75)), relief=0.8)
    body = path(
        [
            (-0.5, 0.2),
            (-0.74, 0.06),
            (-0.66, -0.22),
            (-0.2, -0.42),
            (0.34, -0.34),
            (0.78, -0.02 + lean),
            (0.72, 0.22 + lean),
            (0.3, 0.28),
            (-0.1, 0.27),
            (-0.5, 0.2),
        ]
    )
    canvas.part(body, look.fabric, relief=1.4)
    canvas.folds(
        [
            ([(-0.5, 0.1), (-0.1, 0.16), (0.4, 0.14)], -0.3),
            ([(-0.4, -0.16), (0.1, -0.24)], 0.25),
            ([(0.3, 0.0), (0.62, 0.12)], -0.2),
        ],
        width=0.08,
    )
    canvas.line(spline([(-0.06, -0.38), (-0.03, -0.46), (0.02, -0.5)]), contrast(look.fabric.base, 0.3), width=0.034)


_HATS = {
    "fedora": _fedora,
    "bucket": _bucket_hat,
    "beanie": _beanie,
    "baseball": _cap,
    "straw": _straw,
    "beret": _beret,
}
