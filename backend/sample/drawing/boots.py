"""Artist for boots, seen from the side with the toe on the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing.canvas import path, spline
from backend.sample.drawing.patterns import Fabric, brightness, contrast, tone
from backend.sample.drawing.sneakers import GUM, draw_laces

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas, Points
    from backend.sample.drawing.dice import Dice
    from backend.sample.range import Look

GROUND = 0.62
STEEL = (196, 198, 202)
BLACK = (44, 42, 44)


@dataclass(frozen=True, slots=True)
class Last:
    """The measures of a boot, in object units: where the shaft ends and the sole begins, and how high the heel is."""

    shaft: float
    sole: float
    lift: float
    width: float
    pointed: float

    @property
    def instep(self) -> list[tuple[float, float]]:
        """The front edge from the ankle to the toes."""
        return [(0.05, self.sole - self.lift * 0.7 - 0.42), (0.16, self.sole - 0.3 - self.lift * 0.35)]


def draw_boot(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a boot: Chelsea, lace-up, knee-high, heeled ankle, cowboy or rubber boot."""
    style, fabric = look.style, look.fabric
    heel = {"heeled ankle": 0.26, "knee-high": dice.between("heel", 0.1, 0.24), "cowboy": 0.15}.get(style, 0.07)
    shaft = {"knee-high": -0.9, "rubber": -0.74, "cowboy": -0.6, "lace-up": -0.42}.get(
        style, dice.between("shaft", -0.36, -0.26)
    )
    last = Last(
        shaft=shaft,
        sole=GROUND - (0.1 if style in {"lace-up", "rubber"} else 0.05),
        lift=heel,
        width=0.02 + 0.05 * (style in {"knee-high", "rubber", "cowboy"}),
        pointed=0.06 if style in {"heeled ankle", "cowboy"} else 0.0,
    )
    _boot_sole(canvas, look, last)
    canvas.part(_upper(last, dip=0.1 if style == "cowboy" else 0.02), fabric, relief=1.2)
    _creases(canvas, last)
    _BOOTS[style](canvas, look, last)


def _upper(last: Last, *, dip: float) -> Points:
    shaft, sole, lift, width, pointed = last.shaft, last.sole, last.lift, last.width, last.pointed
    return path(
        [(-0.5, sole - lift + 0.02), (-0.54, sole - lift - 0.2), (-0.47, sole - lift - 0.36), (-0.48 - width, shaft)],
        [(-0.48 - width, shaft), (-0.2, shaft + dip), (0.06 + width, shaft - 0.015)],
        [
            (0.06 + width, shaft - 0.015),
            *last.instep,
            (0.44, sole - 0.2),
            (0.64 + pointed, sole - 0.1 + pointed * 0.6),
            (0.68 + pointed, sole + 0.02),
        ],
        [(0.68 + pointed, sole + 0.02), (0.2, sole + 0.01), (-0.1, sole - lift * 0.5), (-0.5, sole - lift + 0.02)],
    )


def _creases(canvas: Canvas, last: Last) -> None:
    sole, lift = last.sole, last.lift
    canvas.folds(
        [
            ([(-0.3, last.shaft + 0.1), (-0.32, sole - lift - 0.2)], 0.3),
            ([(0.0, sole - 0.42 - lift * 0.5), (-0.3, sole - 0.36 - lift * 0.7)], -0.3),
            ([(0.02, sole - 0.5 - lift * 0.5), (-0.24, sole - 0.46 - lift * 0.7)], -0.22),
            ([(0.34, sole - 0.18), (0.56, sole - 0.1)], 0.42),
        ],
        width=0.06,
    )


def _boot_sole(canvas: Canvas, look: Look, last: Last) -> None:
    ground, sole, lift, pointed = GROUND, last.sole, last.lift, last.pointed
    welt = GUM if look.style == "lace-up" and brightness(look.fabric.base) > 90 else BLACK
    fabric = Fabric("plain", tone(look.trim, 0.8) if look.style == "rubber" else welt)
    if lift > 0.09:
        canvas.part(
            path(
                [(-0.53, sole - lift - 0.06), (-0.49, ground)],
                [(-0.49, ground), (-0.29, ground)],
                [(-0.29, ground), (-0.22, sole - lift * 0.5 + 0.04)],
                [(-0.22, sole - lift * 0.5 + 0.04), (-0.53, sole - lift - 0.06)],
            ),
            fabric,
            relief=0.6,
        )
    bottom = path(
        [(-0.53, sole - lift), (-0.12, sole - lift * 0.5), (0.18, sole), (0.7 + pointed, sole - 0.01)],
        [(0.7 + pointed, sole - 0.01), (0.71 + pointed, ground - 0.02), (0.62, ground)],
        [(0.62, ground), (0.16, ground), (-0.1, ground - lift * 0.62), (-0.52, ground - lift)]
        if lift > 0.09
        else [(0.62, ground), (0.0, ground), (-0.12, ground - 0.025), (-0.24, ground), (-0.53, ground)],
    )
    canvas.part(bottom, fabric, relief=0.5)


def _chelsea(canvas: Canvas, look: Look, last: Last) -> None:
    base, shaft = look.fabric.base, last.shaft
    gusset = path(
        [(-0.32, shaft - 0.03), (-0.27, shaft + 0.26), (-0.2, shaft + 0.36)],
        [(-0.2, shaft + 0.36), (-0.1, shaft + 0.26), (-0.05, shaft - 0.03)],
    )
    elastic = tone(base, 0.6) if brightness(base) > 52 else tone(base, 1.2)
    canvas.inlay(gusset, Fabric("ribbed", elastic, scale=0.55))
    canvas.line([(-0.5, shaft), (-0.5, shaft - 0.09)], contrast(base, 0.36), width=0.03)


def _lace_up(canvas: Canvas, look: Look, last: Last) -> None:
    sole, shaft, fabric = last.sole, last.shaft, look.fabric
    draw_laces(canvas, look, spline([(0.06, shaft + 0.05), *last.instep, (0.38, sole - 0.22)], steps=12), 8)
    _toe_seam(canvas, look, last)
    canvas.stitches([(-0.5, sole + 0.035), (0.68, sole + 0.035)], (224, 190, 120), dash=2)
    canvas.band(np.array([(-0.47, shaft), (0.05, shaft)]), 0.07, fabric.plain(tone(fabric.base, 0.8)), relief=0.5)


def _toe_seam(canvas: Canvas, look: Look, last: Last) -> None:
    seam = path([(0.39, last.sole), (0.35, last.sole - 0.12), (0.42, last.sole - 0.2)])
    canvas.line(seam, contrast(look.fabric.base, 0.36), width=0.013)


def _knee_high(canvas: Canvas, look: Look, last: Last) -> None:
    seam, shaft = contrast(look.fabric.base, 0.36), last.shaft
    canvas.line(path([(-0.3, shaft), (-0.3, last.sole - 0.5), (-0.34, last.sole - last.lift)]), seam, width=0.012)
    canvas.line([(-0.54, shaft + 0.06), (0.11, shaft + 0.06)], seam, width=0.01)


def _cowboy(canvas: Canvas, look: Look, last: Last) -> None:
    x, shaft = -0.2, last.shaft
    for y in (shaft + 0.2, shaft + 0.31, shaft + 0.42):
        for side in (-1, 1):
            canvas.stitches(path([(x, y), (x + side * 0.13, y + 0.1), (x + side * 0.16, y + 0.02)]), look.trim, dash=3)
    seam = path([(0.16, last.sole - 0.29), (0.24, last.sole - 0.12), (0.4, last.sole)])
    canvas.line(seam, contrast(look.fabric.base, 0.36), width=0.014)


def _rubber(canvas: Canvas, look: Look, last: Last) -> None:
    rim = np.array([(-0.53, last.shaft + 0.02), (0.1 + last.width * 0.3, last.shaft + 0.01)])
    canvas.folds([([(-0.22, last.shaft + 0.2), (-0.24, last.sole - 0.3)], 0.5)], width=0.04)
    _toe_seam(canvas, look, last)
    canvas.band(rim, 0.08, look.fabric.plain(look.trim), relief=0.5)


def _heeled_ankle(canvas: Canvas, look: Look, last: Last) -> None:
    canvas.line([(-0.18, last.shaft), (-0.2, last.sole - last.lift - 0.1)], STEEL, width=0.016)
    seam = [last.instep[-1], (0.22, last.sole - 0.12)]
    canvas.line(seam, contrast(look.fabric.base, 0.36), width=0.012)


_BOOTS = {
    "Chelsea": _chelsea,
    "lace-up": _lace_up,
    "knee-high": _knee_high,
    "cowboy": _cowboy,
    "rubber": _rubber,
    "heeled ankle": _heeled_ankle,
}
