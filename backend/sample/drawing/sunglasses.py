"""Artist for sunglasses, seen from the front."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing.canvas import closed, flipped, oval, path, spline
from backend.sample.drawing.patterns import Fabric, mix, tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas, Point, Points
    from backend.sample.drawing.dice import Dice
    from backend.sample.drawing.patterns import Rgb
    from backend.sample.range import Look

STEEL = (188, 190, 196)
GOLD = (206, 172, 96)


def draw_sunglasses(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw sunglasses from the front: round, square, cat-eye, aviator or oversized."""
    style = look.style
    wide = {"round": 0.33, "oversized": 0.42}.get(style, dice.between("wide", 0.36, 0.4))
    gap = dice.between("gap", 0.07, 0.1)
    metal = style in {"aviator", "round"} and dice.chance("metal", 0.7)
    frame = dice.pick("wire", (GOLD, STEEL, (70, 70, 74))) if metal else look.fabric.base
    rim = 0.035 if metal else dice.between("rim", 0.06, 0.09)
    lens = dice.pick("lens", ((62, 62, 70), (92, 74, 58), (70, 92, 84), mix(look.trim, (60, 60, 66), 0.35)))
    outline = _lens(style, wide, gap)
    _temples(canvas, frame, gap + 2 * wide, rim)
    y = -0.16 if style != "round" else -0.1
    canvas.band(
        spline([(-gap - 0.05, y + 0.03), (0.0, y - 0.03), (gap + 0.05, y + 0.03)]),
        rim * 0.9,
        Fabric("plain", frame),
        relief=0.4,
    )
    if style == "aviator":
        canvas.band(np.array([(-gap - 0.12, y - 0.1), (gap + 0.12, y - 0.1)]), rim, Fabric("plain", frame), relief=0.4)
    for side in (1.0, -1.0):
        shape = outline if side > 0 else flipped(outline)
        _one_lens(canvas, shape, look.fabric.plain(frame) if metal else look.fabric, rim, lens, metal=metal)


def _lens(style: str, wide: float, gap: float) -> Points:
    """The right lens of a style, (N, 2)."""
    x = gap + wide
    if style == "round":
        return oval((x, 0.02), wide, wide)
    lens: Points = path(*_LENSES[style]) * np.array([wide, 1.0]) + np.array([x, 0.0])
    return lens


# Right lenses around their middle: x in half lens widths, y in object units.
_LENSES: dict[str, tuple[list[Point], ...]] = {
    "cat-eye": (
        [(-1.0, -0.1), (-0.3, -0.2), (1.18, -0.36)],
        [(1.18, -0.36), (1.0, 0.06), (0.0, 0.27), (-0.84, 0.12), (-1.0, -0.1)],
    ),
    "aviator": (
        [
            (-1.0, -0.2),
            (0.0, -0.27),
            (1.0, -0.22),
            (1.05, 0.02),
            (0.26, 0.34),
            (-0.26, 0.3),
            (-0.95, 0.04),
            (-1.0, -0.2),
        ],
    ),
    "oversized": ([(-1.0, -0.2), (0.0, -0.36), (1.0, -0.28), (1.05, 0.1), (0.1, 0.36), (-0.85, 0.22), (-1.0, -0.2)],),
    "square": (
        [(-1.02, -0.24), (0.0, -0.28), (1.1, -0.25)],
        [(1.1, -0.25), (0.97, 0.14), (0.74, 0.24)],
        [(0.74, 0.24), (0.0, 0.28), (-0.8, 0.23)],
        [(-0.8, 0.23), (-1.0, 0.08), (-1.02, -0.24)],
    ),
}


def _temples(canvas: Canvas, frame: Rgb, edge: float, rim: float) -> None:
    for side in (1.0, -1.0):
        line = spline([(edge - 0.02, -0.2), (edge + 0.03, -0.3), (edge - 0.1, -0.46), (edge - 0.34, -0.5)])
        canvas.band(
            line if side > 0 else flipped(line), max(rim * 0.7, 0.03), Fabric("plain", tone(frame, 0.8)), relief=0.4
        )


def _one_lens(canvas: Canvas, shape: Points, frame: Fabric, rim: float, lens: Rgb, *, metal: bool) -> None:
    middle = shape.mean(axis=0)
    if not metal:
        canvas.part(middle + (shape - middle) * (1 + rim * 1.2), frame, relief=0.8)
    canvas.part(middle + (shape - middle) * (1 - rim * 0.8), Fabric("plain", lens), relief=-0.4)
    x, y = float(middle[0]), float(middle[1])
    canvas.folds(
        [([(x - 0.3, y + 0.24), (x + 0.3, y + 0.2)], 0.7), ([(x - 0.3, y + 0.14), (x + 0.3, y + 0.1)], 0.4)],
        width=0.14,
        blur=5,
    )
    shine = tone(lens, 1.35)
    canvas.inlay(
        [(x - 0.16, y + 0.02), (x - 0.02, y - 0.18), (x + 0.03, y - 0.18), (x - 0.11, y + 0.04)], Fabric("plain", shine)
    )
    if metal:
        canvas.line(closed(shape), frame.base, width=rim)
