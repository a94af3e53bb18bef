"""Artist for sneakers, seen from the side with the toe on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing.canvas import box, path, spline
from backend.sample.drawing.patterns import Fabric, brightness, contrast, tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas, Points
    from backend.sample.drawing.dice import Dice
    from backend.sample.drawing.patterns import Rgb
    from backend.sample.range import Look

GROUND = 0.46
GUM = (184, 132, 84)
RUBBER = (232, 229, 221)


def draw_sneaker(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a sneaker: court, runner, high-top, slip-on or skate shoe."""
    style, fabric = look.style, look.fabric
    high = 0.34 if style == "high-top" else 0.0
    thick = dice.between("sole", 0.15, 0.19) if style == "runner" else dice.between("sole", 0.1, 0.14)
    base = GROUND - thick
    collar = base - dice.between("collar", 0.4, 0.46) - high
    tongue = collar - (0.02 if style == "slip-on" else 0.11)
    front = dice.between("vamp", -0.16, -0.08)
    throat = (0.36, base - 0.26)
    upper = path(
        [(-0.78, base + 0.04), (-0.82, base - 0.16), (-0.76, collar - 0.03)],
        [(-0.76, collar - 0.03), (-0.5, collar + 0.06), (front - 0.14, tongue + 0.03)],
        [(front - 0.14, tongue + 0.03), (front, tongue)],
        [
            (front, tongue),
            (front + 0.16, (tongue + throat[1]) / 2 - 0.02),
            throat,
            (0.68, base - 0.2),
            (0.85, base - 0.06),
            (0.85, base + 0.04),
        ],
    )
    canvas.part(upper, fabric, relief=1.1)
    side = [(-0.7, base - 0.16), (-0.3, base - 0.12), (0.2, base - 0.1)]
    canvas.folds([(side, 0.22), ([(0.42, base - 0.2), (0.66, base - 0.14)], 0.34)], width=0.07)
    _heel_tab(canvas, look, base, collar)
    _SIDES[style](canvas, look, base)
    rim = [(-0.76, collar), (-0.5, collar + 0.08), (front - 0.14, tongue + 0.05)]
    canvas.line(path(rim), tone(fabric.base, 0.66), width=0.03)
    if style != "slip-on":
        edge = [(front + 0.02, tongue + 0.04), (front + 0.16, (tongue + throat[1]) / 2 - 0.01), throat]
        draw_laces(canvas, look, spline(edge), 5 + 2 * bool(high))
    _sneaker_sole(canvas, look, base, dice)


def _heel_tab(canvas: Canvas, look: Look, base: float, collar: float) -> None:
    back = [(-0.9, base + 0.05), (-0.9, collar - 0.1)]
    front = [(-0.68, collar - 0.1), (-0.62, base - 0.2), (-0.66, base + 0.05)]
    canvas.inlay(path(back, front), look.fabric.plain(look.trim))


def _toe_cap(canvas: Canvas, look: Look, base: float, colour: Rgb) -> None:
    back = [(0.56, base + 0.05), (0.5, base - 0.1), (0.58, base - 0.32)]
    canvas.inlay(path(back, [(0.95, base - 0.3), (0.95, base + 0.05)]), look.fabric.plain(colour))
    seam = path([(0.56, base + 0.02), (0.5, base - 0.1), (0.55, base - 0.21)])
    canvas.line(seam, contrast(look.fabric.base, 0.3), width=0.01)


def _court(canvas: Canvas, look: Look, base: float) -> None:
    _toe_cap(canvas, look, base, tone(look.fabric.base, 0.92))
    quarter = path([(-0.55, base + 0.02), (-0.42, base - 0.2), (-0.12, base - 0.34)])
    canvas.stitches(quarter, contrast(look.fabric.base, 0.3), dash=3)


def _runner(canvas: Canvas, look: Look, base: float) -> None:
    _toe_cap(canvas, look, base, look.trim)
    stripe = np.array([(-0.3, 0.03), (-0.1, -0.3), (-0.03, -0.3), (-0.22, 0.03)])
    for i in range(3):
        canvas.inlay(stripe + np.array([0.16 * i, base]), look.fabric.plain(look.trim))


def _skate(canvas: Canvas, look: Look, base: float) -> None:
    upper = [(-0.66, base - 0.12), (-0.3, base - 0.06), (0.0, base - 0.26), (0.22, base - 0.22)]
    lower = [(0.24, base - 0.16), (0.02, base - 0.18), (-0.3, base + 0.02), (-0.66, base - 0.04)]
    canvas.inlay(path(upper, lower), look.fabric.plain(look.trim))


def _slip_on(canvas: Canvas, look: Look, base: float) -> None:
    gore = np.array([(-0.44, -0.56), (-0.1, -0.56), (-0.18, -0.16), (-0.34, -0.16)]) + np.array([0.0, base])
    canvas.inlay(gore, look.fabric.plain(look.trim))
    canvas.line([(0.2, base - 0.32), (0.24, base + 0.02)], contrast(look.fabric.base, 0.3), width=0.012)


def _high_top(canvas: Canvas, look: Look, base: float) -> None:
    _toe_cap(canvas, look, base, RUBBER)
    canvas.dot((-0.42, base - 0.42), 0.1, RUBBER)
    canvas.dot((-0.42, base - 0.42), 0.065, look.trim)


_SIDES = {"court": _court, "runner": _runner, "skate": _skate, "slip-on": _slip_on, "high-top": _high_top}


def draw_laces(canvas: Canvas, look: Look, front: Points, count: int) -> None:
    """Draw laces along the front edge of a shoe, (N, 2) from the tongue to the toe, inwards from that edge."""
    step = np.gradient(front, axis=0)
    across = np.stack([-step[:, 1], step[:, 0]], axis=1) / np.hypot(step[:, 0], step[:, 1])[:, None]
    canvas.inlay(
        np.concatenate([front, (front + across * 0.12)[::-1]]), look.fabric.plain(tone(look.fabric.base, 0.82))
    )
    for place in np.linspace(0.06, 0.92, count) * (len(front) - 1):
        i = int(place)
        point = front[i] + across[i] * 0.012
        inner = point + across[i] * 0.13 + step[i] / np.hypot(*step[i]) * 0.03
        for colour, width in ((tone(look.cord, 0.62), 0.046), (look.cord, 0.03)):
            canvas.line(np.array([point, inner]), colour, width=width)
        canvas.dot((float(inner[0]), float(inner[1])), 0.016, contrast(look.fabric.base, 0.5))


def _sneaker_sole(canvas: Canvas, look: Look, base: float, dice: Dice) -> None:
    colour = dice.pick("sole-colour", (RUBBER, RUBBER, (248, 247, 243), GUM))
    if look.style == "runner":
        shape = path(
            [(-0.86, base - 0.02), (-0.2, base + 0.04), (0.5, base + 0.03), (0.92, base - 0.06)],
            [(0.92, base - 0.06), (0.9, GROUND - 0.05), (0.66, GROUND)],
            [(0.66, GROUND), (-0.74, GROUND), (-0.93, GROUND - 0.08), (-0.86, base - 0.02)],
        )
    else:
        shape = path(
            [(-0.84, base), (0.88, base)],
            [(0.88, base), (0.92, (base + GROUND) / 2), (0.86, GROUND)],
            [(0.86, GROUND), (-0.82, GROUND)],
            [(-0.82, GROUND), (-0.87, (base + GROUND) / 2), (-0.84, base)],
        )
    sole = Fabric("plain", colour)
    canvas.part(shape, sole, relief=0.6)
    line = look.trim if brightness(look.trim) < 215 else tone(colour, 0.8)
    canvas.inlay(box(-0.95, GROUND - 0.035, 0.95, GROUND + 0.02), sole.plain(tone(line, 0.9)))
    if look.style != "runner":
        canvas.inlay(box(-0.9, base + 0.028, 0.92, base + 0.046), sole.plain(line))
