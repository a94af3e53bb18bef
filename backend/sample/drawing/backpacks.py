"""Artist for backpacks, seen from the front."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing.canvas import flipped, path, spline, symmetric
from backend.sample.drawing.handbags import GOLD, draw_handle
from backend.sample.drawing.patterns import contrast, tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas
    from backend.sample.drawing.dice import Dice
    from backend.sample.range import Look

STEEL = (196, 198, 202)


def draw_backpack(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a backpack: daypack, rucksack, roll-top, mini or square city pack."""
    style, fabric = look.style, look.fabric
    wide = dice.between("wide", 0.46, 0.54) - 0.05 * (style == "mini")
    top = -0.34 if style == "mini" else dice.between("top", -0.62, -0.52)
    low, round_top = dice.between("low", 0.66, 0.74), style in {"daypack", "mini"}
    strap = fabric.plain(tone(fabric.base, 0.72))
    for side in (1.0, -1.0):
        line = spline([(0.16, top + 0.08), (wide + 0.1, top + 0.24), (wide + 0.17, 0.2), (wide - 0.02, low - 0.1)])
        canvas.band(line if side > 0 else flipped(line), 0.1, strap)
    draw_handle(canvas, (0.0, top + 0.04), 0.13, 0.17, 0.055, strap)
    corner = 0.3 if round_top else 0.1
    body = symmetric(
        [(0.0, top), (wide * (0.42 if round_top else 0.8), top + 0.01), (wide * 0.97, top + corner)],
        [(wide * 0.97, top + corner), (wide + 0.03, 0.2), (wide, low - 0.08)],
        [(wide, low - 0.08), (wide - 0.06, low), (0.0, low + 0.01)],
    )
    canvas.part(body, fabric, relief=1.3)
    canvas.folds(
        [([(-wide * 0.72, top + 0.3), (-wide * 0.7, 0.3)], 0.2), ([(wide * 0.8, top + 0.3), (wide * 0.82, 0.4)], -0.2)],
        width=0.08,
    )
    _PACKS.get(style, _daypack)(canvas, look, wide, top, low)


def _pocket(canvas: Canvas, look: Look, wide: float, top: float, low: float, *, trim: bool) -> None:
    fabric = look.fabric.plain(look.trim) if trim else look.fabric
    shape = symmetric(
        [(0.0, top), (wide * 0.8, top + 0.01)],
        [(wide * 0.8, top + 0.01), (wide, top + 0.08), (wide, low - 0.06), (wide - 0.05, low)],
        [(wide - 0.05, low), (0.0, low + 0.01)],
    )
    canvas.part(shape, fabric, relief=1.0)
    dark = contrast(fabric.base, 0.45)
    canvas.line([(-wide * 0.86, top + 0.07), (wide * 0.86, top + 0.07)], dark, width=0.022)
    canvas.line([(wide * 0.5, top + 0.07), (wide * 0.52, top + 0.16)], STEEL, width=0.028)


def _daypack(canvas: Canvas, look: Look, wide: float, top: float, low: float) -> None:
    dark = contrast(look.fabric.base, 0.45)
    canvas.line(
        spline(
            [
                (-wide * 0.8, 0.06),
                (-wide * 0.78, top + 0.34),
                (0.0, top + 0.13),
                (wide * 0.78, top + 0.34),
                (wide * 0.8, 0.06),
            ]
        ),
        dark,
        width=0.02,
    )
    canvas.line([(wide * 0.72, top + 0.27), (wide * 0.76, top + 0.38)], STEEL, width=0.028)
    _pocket(canvas, look, wide * 0.78, 0.12, low - 0.06, trim=True)
    canvas.blob([(-0.09, -0.16), (0.09, -0.16), (0.09, -0.06), (-0.09, -0.06)], tone(look.trim, 0.82))


def _rucksack(canvas: Canvas, look: Look, wide: float, top: float, low: float) -> None:
    for side in (-1, 1):
        x = side * (wide - 0.01)
        canvas.part(
            path([(x - 0.1, 0.2), (x + 0.1, 0.2), (x + 0.1, low - 0.06), (x - 0.1, low - 0.06)]),
            look.fabric,
            relief=0.9,
        )
    _pocket(canvas, look, wide * 0.66, 0.16, low - 0.06, trim=False)
    edge = 0.06
    flap = symmetric(
        [(0.0, top - 0.03), (wide * 0.8, top)],
        [(wide * 0.8, top), (wide + 0.03, top + 0.16), (wide + 0.01, edge - 0.08)],
        [(wide + 0.01, edge - 0.08), (wide * 0.6, edge), (0.0, edge + 0.01)],
    )
    canvas.part(flap, look.fabric, relief=1.1)
    for side in (-1, 1):
        x = side * wide * 0.44
        canvas.part(
            np.array([(x - 0.04, edge - 0.3), (x + 0.04, edge - 0.3), (x + 0.04, 0.36), (x - 0.04, 0.36)]),
            look.fabric.plain(look.trim),
            relief=0.4,
        )
        frame = [(x - 0.055, 0.14), (x + 0.055, 0.14), (x + 0.055, 0.23), (x - 0.055, 0.23), (x - 0.055, 0.14)]
        canvas.line(frame, GOLD, width=0.022)


def _roll_top(canvas: Canvas, look: Look, wide: float, top: float, low: float) -> None:
    canvas.part(
        np.array([(-wide * 0.94, top - 0.06), (wide * 0.94, top - 0.06), (wide, top + 0.14), (-wide, top + 0.14)]),
        look.fabric.plain(tone(look.fabric.base, 0.88)),
        relief=1.0,
    )
    canvas.part(
        np.array([(-0.05, top - 0.08), (0.05, top - 0.08), (0.05, 0.24), (-0.05, 0.24)]),
        look.fabric.plain(look.trim),
        relief=0.4,
    )
    canvas.line([(-0.07, -0.06), (0.07, -0.06), (0.07, 0.03), (-0.07, 0.03), (-0.07, -0.06)], STEEL, width=0.024)
    _pocket(canvas, look, wide * 0.8, 0.3, low - 0.05, trim=False)


def _square(canvas: Canvas, look: Look, wide: float, top: float, low: float) -> None:
    canvas.line([(-wide * 0.92, top + 0.3), (wide * 0.92, top + 0.3)], contrast(look.fabric.base, 0.45), width=0.022)
    canvas.line([(-wide * 0.6, top + 0.3), (-wide * 0.6, top + 0.4)], STEEL, width=0.028)
    canvas.inlay([(-1, low - 0.22), (1, low - 0.22), (1, 1), (-1, 1)], look.fabric.plain(look.trim))
    _pocket(canvas, look, wide * 0.8, 0.02, low - 0.24, trim=False)
    canvas.dot((0.0, top + 0.16), 0.075, look.trim)


_PACKS = {"daypack": _daypack, "mini": _daypack, "rucksack": _rucksack, "roll-top": _roll_top, "square": _square}
