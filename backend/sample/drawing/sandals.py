"""Artists for open and heeled shoes, seen from the side with the toe on the right: sandals and heels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing.canvas import path, spline
from backend.sample.drawing.patterns import Fabric, brightness, contrast, tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas, Point, Points
    from backend.sample.drawing.dice import Dice
    from backend.sample.drawing.patterns import Rgb
    from backend.sample.range import Look

BLACK = (44, 42, 44)
CORK = (188, 150, 106)


def draw_sandal(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw sandals: a pair from above (slides, two-strap, cross-strap, flip-flops), or one from the side."""
    sole = dice.pick("bed", (CORK, CORK, (214, 186, 148), (104, 76, 56)))
    if look.style in _FROM_ABOVE:
        _pair(canvas, look, sole, dice.between("width", 0.92, 1.06), dice.between("strap", 0.9, 1.15))
    else:
        _from_the_side(canvas, look, sole, dice.between("lift", 0.0, 0.05))


# ------------------------------------------------------------------------------------------------ a pair from above

_FOOT: tuple[Point, ...] = (
    (-0.06, -0.84), (0.14, -0.78), (0.27, -0.54), (0.26, -0.2), (0.21, 0.16), (0.23, 0.5), (0.16, 0.74), (0.0, 0.82),
    (-0.16, 0.74), (-0.22, 0.5), (-0.17, 0.14), (-0.22, -0.2), (-0.27, -0.54), (-0.22, -0.76), (-0.06, -0.84),
)  # fmt: skip


def _pair(canvas: Canvas, look: Look, sole: Rgb, width: float, strap: float) -> None:
    foot = spline(_FOOT) * np.array([width, 1.0])
    for side in (-1.0, 1.0):
        place, flip = np.array([side * 0.36, 0.0]), np.array([side, 1.0])
        canvas.part((foot * flip) * np.array([1.06, 1.025]) + place, Fabric("plain", tone(sole, 0.6)), relief=0.7)
        canvas.part((foot * flip) * np.array([0.94, 0.97]) + place, Fabric("plain", tone(sole, 1.12)), relief=-0.5)
        canvas.folds(
            [([(place[0], -0.5), (place[0], -0.3)], -0.16), ([(place[0], 0.5), (place[0], 0.62)], -0.18)], width=0.2
        )
        _FROM_ABOVE[look.style](canvas, look, place, flip * np.array([width, 1.0]), strap)


def _across(top: float, low: float, *, skew: float = 0.0) -> Points:
    """A band over the foot between two heights, (N, 2), a little wider than the sole."""
    return path(
        [(-0.29, top + skew), (0.0, top - 0.07), (0.29, top - skew)],
        [(0.29, top - skew), (0.28, low - skew)],
        [(0.28, low - skew), (0.0, low - 0.07), (-0.27, low + skew)],
        [(-0.27, low + skew), (-0.29, top + skew)],
    )


def _slide(canvas: Canvas, look: Look, place: Points, flip: Points, strap: float) -> None:
    canvas.part(_across(-0.44, -0.44 + 0.42 * strap) * flip + place, look.fabric, relief=1.3)
    edge = path([(-0.26, -0.4), (0.0, -0.46), (0.26, -0.4)])
    canvas.stitches(edge * flip + place, contrast(look.fabric.base, 0.4), dash=3)


def _two_strap(canvas: Canvas, look: Look, place: Points, flip: Points, strap: float) -> None:
    for top in (-0.52, -0.2):
        canvas.part(_across(top, top + 0.23 * strap) * flip + place, look.fabric, relief=1.2)
        x, y = np.array([0.14, top + 0.05 * strap]) * flip + place
        buckle(canvas, float(x), float(y), 0.055)


def _cross_strap(canvas: Canvas, look: Look, place: Points, flip: Points, strap: float) -> None:
    for fabric, ends in ((look.fabric, (-0.56, 0.02)), (look.fabric.plain(look.trim), (0.02, -0.56))):
        line = spline([(-0.26, ends[0]), (0.0, sum(ends) / 2 - 0.08), (0.27, ends[1])])
        canvas.band(line * flip + place, 0.15 * strap, fabric, relief=1.0)
    back = spline([(-0.21, 0.42), (0.0, 0.32), (0.22, 0.42)])
    canvas.band(back * flip + place, 0.1 * strap, look.fabric, relief=1.0)


def _flip_flop(canvas: Canvas, look: Look, place: Points, flip: Points, strap: float) -> None:
    for x, y in ((-0.22, 0.02), (0.23, 0.02)):
        line = spline([(-0.07, -0.5), (x * 0.62, -0.32), (x, y)])
        canvas.band(line * flip + place, 0.08 * strap, look.fabric, relief=1.0)
    x, y = np.array([-0.07, -0.5]) * flip + place
    canvas.dot((float(x), float(y)), 0.055, look.trim)


_FROM_ABOVE = {"slide": _slide, "two-strap": _two_strap, "cross-strap": _cross_strap, "flip-flop": _flip_flop}


# ----------------------------------------------------------------------------------------------- one from the side


def _from_the_side(canvas: Canvas, look: Look, colour: Rgb, lift: float) -> None:
    wedge = look.style == "wedge"
    thick, lift = (0.07, 0.3 + lift) if wedge else (0.08, lift)
    bed = spline(
        [
            (-0.82, 0.4 - thick - lift),
            (-0.45, 0.42 - thick - lift * 0.85),
            (-0.05, 0.42 - thick - lift * 0.36),
            (0.4, 0.43 - thick),
            (0.86, 0.37 - thick),
        ]
    )
    under = bed[::-1] + np.array([0.0, thick])
    if wedge:
        under = path(
            [(0.88, 0.36), (0.6, 0.42), (0.3, 0.43)], [(0.3, 0.43), (-0.72, 0.43)], [(-0.72, 0.43), (-0.84, 0.1)]
        )
    canvas.part(np.concatenate([bed, under]), Fabric("woven" if wedge else "plain", colour, scale=0.8), relief=0.6)
    canvas.line(bed, tone(colour, 1.3), width=0.03)
    (_wedge if wedge else _gladiator)(canvas, look, bed)


def _on(bed: Points, x: float) -> Point:
    """The point of the footbed at this x."""
    return (x, float(np.interp(x, bed[:, 0], bed[:, 1])) + 0.02)


def _toe_strap(canvas: Canvas, look: Look, bed: Points, span: tuple[float, float], rise: float) -> None:
    """Draw a broad strap that arches over the toes between two places of the bed."""
    (x0, y0), (x1, y1) = _on(bed, span[0]), _on(bed, span[1])
    wide, top = x1 - x0, min(y0, y1) - rise
    shape = path(
        [(x0, y0 + 0.01), (x0 + wide * 0.06, y0 - rise * 0.6), (x0 + wide * 0.22, top)],
        [(x0 + wide * 0.22, top), (x0 + wide * 0.45, top), (x0 + wide * 0.7, top + rise * 0.16)],
        [(x0 + wide * 0.7, top + rise * 0.16), (x1 - wide * 0.02, y1 - rise * 0.42), (x1, y1 + 0.01)],
    )
    canvas.part(shape, look.fabric, relief=1.0)


def buckle(canvas: Canvas, x: float, y: float, size: float = 0.045) -> None:
    """Draw a small square buckle."""
    frame = [
        (x - size, y - size),
        (x + size, y - size),
        (x + size, y + size),
        (x - size, y + size),
        (x - size, y - size),
    ]
    canvas.line(frame, (206, 178, 112), width=0.022)
    canvas.line([(x - size, y), (x + size, y)], (206, 178, 112), width=0.014)


def _gladiator(canvas: Canvas, look: Look, bed: Points) -> None:
    canvas.band(spline([_on(bed, -0.72), (-0.74, 0.0), (-0.66, -0.2), (-0.62, -0.44)]), 0.1, look.fabric)
    for y in (-0.4, -0.22, -0.04):
        canvas.band(spline([(-0.66, y), (-0.42, y + 0.03), (-0.2, y - 0.02)]), 0.07, look.fabric)
    canvas.band(spline([(-0.2, -0.42), (-0.16, -0.2), (-0.02, 0.06), (0.2, 0.2), (0.5, 0.3)]), 0.08, look.fabric)
    for x in (0.06, 0.42):
        _toe_strap(canvas, look, bed, (x - 0.08, x + 0.14), 0.2)
    for y in (-0.38, -0.2, -0.02):
        canvas.dot((-0.44, y), 0.026, (206, 178, 112))


def _wedge(canvas: Canvas, look: Look, bed: Points) -> None:
    _toe_strap(canvas, look, bed, (0.24, 0.74), 0.25)
    canvas.band(spline([_on(bed, -0.74), (-0.78, -0.12), (-0.66, -0.26)]), 0.11, look.fabric)
    canvas.band(
        spline([(-0.72, -0.24), (-0.46, -0.32), (-0.24, -0.26), (-0.2, 0.0), _on(bed, -0.16)]), 0.065, look.fabric
    )
    buckle(canvas, -0.4, -0.3)


def draw_heel(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a heeled shoe: pump, slingback, ankle strap, block heel, kitten heel or mule."""
    style, fabric = look.style, look.fabric
    lift = {"kitten": 0.28, "block": 0.42}.get(style, dice.between("lift", 0.48, 0.64))
    ground, toe = 0.5, 0.74 + dice.between("toe", 0.0, 0.1)
    seat = ground - 0.05 - lift
    arch = [
        (-0.7, seat),
        (-0.5, seat + 0.04),
        (-0.14, ground - 0.06 - lift * 0.36),
        (0.2, ground - 0.045),
        (0.5, ground - 0.03),
    ]
    vamp = (0.3, ground - 0.23)
    _heel_post(canvas, look, seat, ground, block=style == "block")
    _heel_body(canvas, look, arch, vamp, toe)
    shine = [([(0.4, ground - 0.19), (0.6, ground - 0.1)], 0.55), ([(-0.68, seat - 0.14), (-0.6, seat - 0.02)], 0.35)]
    canvas.folds(shine, width=0.05, blur=2.0)
    canvas.line(spline([*arch, (toe, ground - 0.015)]), look.trim if brightness(look.trim) < 200 else BLACK, width=0.03)
    _heel_straps(canvas, look, seat)
    if style in {"pump", "kitten"} and dice.chance("bow", 0.35):
        for side in (-1, 1):
            wing = [vamp, (vamp[0] + side * 0.11, vamp[1] - 0.08), (vamp[0] + side * 0.12, vamp[1] + 0.03), vamp]
            canvas.part(path(wing), fabric.plain(look.trim))
        canvas.dot(vamp, 0.03, tone(look.trim, 0.85))


def _heel_body(canvas: Canvas, look: Look, arch: list[Point], vamp: Point, toe: float) -> None:
    """Draw the upper, and before it the lining of its far side, which shows in the opening."""
    fabric, ground, seat = look.fabric, arch[-1][1] + 0.03, arch[0][1]
    middle = (-0.2, (seat + ground) / 2 + 0.0)
    tip = [vamp, (vamp[0] + 0.16, vamp[1] + 0.03), (toe - 0.1, ground - 0.1), (toe, ground - 0.02)]
    low = [(toe, ground - 0.02), (0.5, ground - 0.03)]
    lining = fabric.plain((222, 196, 166))
    if look.style in {"slingback", "mule"}:
        canvas.band(spline(arch[:4]), 0.055, lining, relief=0.4)
        far = [(-0.08, arch[2][1]), (0.1, vamp[1] - 0.07), (vamp[0], vamp[1])]
        canvas.part(path(far, [vamp, (0.1, ground - 0.05)], [(0.1, ground - 0.05), far[0]]), lining, relief=0.3)
        canvas.part(
            path(tip, low, [arch[4], arch[3], arch[2]], [arch[2], (0.0, vamp[1] + 0.0), vamp]), fabric, relief=1.2
        )
        return
    heel_top = (-0.73, seat - 0.27)
    near = [heel_top, (-0.55, seat - 0.12), middle, (0.1, vamp[1] + 0.035), vamp]
    far_side = [heel_top, (-0.55, seat - 0.19), (-0.2, middle[1] - 0.09), (0.12, vamp[1] - 0.05), vamp]
    canvas.part(path(far_side, near[::-1]), lining, relief=0.2)
    counter = [(-0.72, seat + 0.01), (-0.77, seat - 0.13), heel_top]
    canvas.part(path(counter, near, tip, low, arch[::-1]), fabric, relief=1.2)


def _heel_post(canvas: Canvas, look: Look, seat: float, ground: float, *, block: bool) -> None:
    inner, foot = (-0.42, 0.0) if block else (-0.5, 0.0)
    width = 0.2 if block else 0.055
    shape = path(
        [
            (-0.75, seat - 0.02),
            (-0.72 if block else -0.7, (seat + ground) / 2),
            (-0.72 if block else -0.68, ground + foot),
        ],
        [(-0.72 if block else -0.68, ground), (-0.68 + width + (0.04 if block else 0.0), ground)],
        [
            (-0.68 + width + (0.04 if block else 0.0), ground),
            (-0.6 + width * 0.9, (seat + ground) / 2),
            (inner, seat + 0.06),
        ],
        [(inner, seat + 0.06), (-0.75, seat - 0.02)],
    )
    canvas.part(shape, look.fabric.plain(tone(look.fabric.base, 0.82)), relief=0.8)


def _heel_straps(canvas: Canvas, look: Look, seat: float) -> None:
    if look.style == "slingback":
        canvas.band(
            spline(
                [
                    (0.02, seat + 0.2),
                    (-0.36, seat - 0.06),
                    (-0.72, seat - 0.22),
                    (-0.8, seat - 0.2),
                    (-0.7, seat - 0.12),
                    (-0.4, seat + 0.06),
                ]
            ),
            0.045,
            look.fabric,
        )
        buckle(canvas, -0.42, seat - 0.09, 0.032)
    elif look.style in {"ankle-strap", "block"}:
        canvas.band(
            spline(
                [
                    (-0.75, seat - 0.28),
                    (-0.56, seat - 0.36),
                    (-0.3, seat - 0.34),
                    (-0.24, seat - 0.27),
                    (-0.42, seat - 0.23),
                    (-0.74, seat - 0.24),
                ]
            ),
            0.045,
            look.fabric,
        )
        buckle(canvas, -0.36, seat - 0.24, 0.034)
