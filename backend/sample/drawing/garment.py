"""What upper garments share: a torso with a neckline, sleeves with cuffs, collars, lapels, buttons and pockets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing.canvas import flipped, path, spline, symmetric
from backend.sample.drawing.patterns import Fabric, contrast, tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas, Point, Points
    from backend.sample.drawing.patterns import Rgb


@dataclass(frozen=True, slots=True)
class Torso:
    """The cut of an upper garment, in object units; widths are half widths."""

    top: float = -0.74
    neck: float = 0.17
    drop: float = 0.13
    shoulder: float = 0.43
    slope: float = 0.09
    armhole: float = 0.36
    chest: float = 0.43
    waist: float = 0.42
    hem: float = 0.44
    length: float = 0.72
    sharp: float = 0.0  # 0 is a round neckline, 1 a straight V

    def neckline(self) -> Points:
        """Return the front neckline from the middle to the right shoulder, (N, 2)."""
        low, bow = self.top + self.drop, 0.72 * (1 - self.sharp) + 0.5 * self.sharp
        bend = (self.neck * bow, low - self.drop * (0.18 * (1 - self.sharp) + 0.5 * self.sharp))
        return spline([(0.0, low), bend, (self.neck, self.top)])

    def full_neckline(self) -> Points:
        """Return the front neckline from shoulder to shoulder."""
        half = self.neckline()
        return np.concatenate([flipped(half)[::-1], half[1:]])

    def outline(self) -> Points:
        """Return the closed outline of front and shoulders, without sleeves."""
        tip, under = (self.shoulder, self.top + self.slope), (self.chest, self.top + self.armhole)
        half = np.concatenate(
            [
                self.neckline(),
                path(
                    [(self.neck, self.top), tip],
                    [tip, (self.shoulder - 0.035, (tip[1] + under[1]) / 2), under],
                    [under, (self.waist, (under[1] + self.length) / 2 - 0.08), (self.hem, self.length)],
                    [(self.hem, self.length), (self.hem * 0.5, self.length + 0.025), (0.0, self.length + 0.03)],
                ),
            ]
        )
        return np.concatenate([half, flipped(half)[::-1]])


@dataclass(frozen=True, slots=True)
class Sleeve:
    """The cut of a sleeve; the angle is measured from straight down, in degrees."""

    length: float
    angle: float = 24.0
    cuff: float = 0.09
    rib: float = 0.0

    def outline(self, torso: Torso) -> Points:
        """Return the closed outline of the right sleeve."""
        tip, under = (torso.shoulder, torso.top + torso.slope), (torso.chest, torso.top + torso.armhole)
        outer, inner = self.opening(torso)
        elbow = ((tip[0] + outer[0]) / 2 + 0.014, (tip[1] + outer[1]) / 2 - 0.01)
        crook = ((under[0] + inner[0]) / 2 + 0.005, (under[1] + inner[1]) / 2)
        inside = (torso.shoulder - 0.16, tip[1] + 0.02)
        return path([inside, tip], [tip, elbow, outer], [outer, inner], [inner, crook, under], [under, inside])

    def opening(self, torso: Torso, *, back: float = 0.0) -> tuple[Point, Point]:
        """Return the outer and the inner corner of the cuff, or of a line ``back`` units before it."""
        x = (torso.shoulder + torso.chest) / 2 - 0.03
        y = torso.top + (torso.slope + torso.armhole) / 2
        sin, cos = math.sin(math.radians(self.angle)), math.cos(math.radians(self.angle))
        end = (x + sin * (self.length - back), y + cos * (self.length - back))
        half = self.cuff + 0.03 * back
        return (end[0] + cos * half, end[1] - sin * half), (end[0] - cos * half, end[1] + sin * half)


def sleeves(canvas: Canvas, torso: Torso, sleeve: Sleeve, fabric: Fabric, trim: Fabric | None = None) -> None:
    """Draw both sleeves, with folds and a cuff in ``trim`` where the sleeve has one."""
    outline = sleeve.outline(torso)
    for side in (-1.0, 1.0):
        shape = outline if side > 0 else flipped(outline)
        canvas.part(shape, fabric, turn=-side * math.radians(sleeve.angle) * 0.9)
        if sleeve.length > 0.5:
            canvas.folds(_sleeve_folds(torso, sleeve, side), width=0.05)
        if sleeve.rib > 0:
            cuff(canvas, torso, sleeve, trim or fabric.plain(tone(fabric.base, 0.9)), side)
        else:
            outer, inner = sleeve.opening(torso, back=0.045)
            canvas.line([_at(outer, side), _at(inner, side)], contrast(fabric.base, 0.2), width=0.008)


def cuff(canvas: Canvas, torso: Torso, sleeve: Sleeve, fabric: Fabric, side: float) -> None:
    """Draw a cuff at the end of one sleeve."""
    outer, inner = sleeve.opening(torso)
    outer_top, inner_top = sleeve.opening(torso, back=sleeve.rib)
    outer, inner = sleeve.opening(torso, back=-0.012)
    corners = np.array([outer_top, outer, inner, inner_top])
    shape = corners if side > 0 else flipped(corners)
    canvas.part(shape, fabric, turn=-side * math.radians(sleeve.angle), relief=0.6)


def _at(point: Point, side: float) -> Point:
    return (point[0] * side, point[1])


def _sleeve_folds(torso: Torso, sleeve: Sleeve, side: float) -> list[tuple[list[Point], float]]:
    folds: list[tuple[list[Point], float]] = []
    for share, strength in ((0.42, -0.24), (0.5, 0.16), (0.72, -0.16)):
        outer, inner = sleeve.opening(torso, back=sleeve.length * (1 - share))
        start = (inner[0] * 0.9 + outer[0] * 0.1, inner[1] * 0.9 + outer[1] * 0.1 + 0.06)
        end = (inner[0] * 0.35 + outer[0] * 0.65, inner[1] * 0.35 + outer[1] * 0.65 - 0.03)
        folds.append(([_at(start, side), _at(end, side)], strength))
    return folds


def lining(canvas: Canvas, torso: Torso, colour: Rgb, *, rise: float = 0.035) -> None:
    """Draw the inside of the back, which shows in the neck."""
    low = torso.top + torso.drop + 0.05
    shape = symmetric([(0.0, torso.top - rise), (torso.neck * 0.7, torso.top - rise), (torso.neck, torso.top)])
    canvas.part(
        np.concatenate([shape, [[-torso.neck, low], [torso.neck, low]]])[_ring(len(shape))], Fabric("plain", colour)
    )


def _ring(count: int) -> list[int]:
    """The order of a lining's corners: right half down, across the bottom, left half up."""
    half = count // 2
    return [*range(half), count + 1, count, *range(half, count)]


def drape(canvas: Canvas, torso: Torso, lean: float, strength: float = 1.0) -> None:
    """Model the last drawn body with a few soft folds; ``lean`` (-1..1) makes no two alike."""
    top, low, width = torso.top + torso.armhole, torso.length, torso.waist
    span = low - top
    canvas.folds(
        [
            (
                [(width * 0.86, top + 0.06), (width * 0.55, top + 0.2 * span), (width * 0.42, top + 0.42 * span)],
                -0.2 * strength,
            ),
            ([(-width * 0.86, top + 0.06), (-width * 0.5, top + 0.22 * span)], -0.18 * strength),
            ([(width * (0.45 + 0.2 * lean), low - 0.42 * span), (width * (0.5 + 0.1 * lean), low)], -0.2 * strength),
            ([(width * (0.3 + 0.2 * lean), low - 0.36 * span), (width * (0.34 + 0.1 * lean), low)], 0.15 * strength),
            ([(-width * (0.5 - 0.2 * lean), low - 0.5 * span), (-width * 0.56, low)], -0.17 * strength),
            ([(-width * 0.12, top + 0.05), (-width * 0.2, top + 0.35 * span)], 0.12 * strength),
        ],
        width=0.07,
        blur=3.2,
    )


def hem_band(canvas: Canvas, torso: Torso, height: float, fabric: Fabric) -> None:
    """Draw a ribbed band along the hem."""
    low, wide = torso.length, torso.hem
    outline = symmetric(
        [(0.0, low - height + 0.03), (wide * 0.5, low - height + 0.025), (wide, low - height)],
        [(wide, low - height), (wide - 0.025, low + 0.005)],
        [(wide - 0.025, low + 0.005), (wide * 0.5, low + 0.03), (0.0, low + 0.035)],
    )
    canvas.part(outline, fabric, relief=0.7)


def buttons(
    canvas: Canvas, x: float, start: float, end: float, count: int, colour: Rgb, *, radius: float = 0.02
) -> None:
    """Draw a row of buttons from ``start`` down to ``end``."""
    for y in np.linspace(start, end, count):
        canvas.dot((x + 0.004, float(y) + 0.006), radius, tone(colour, 0.55))
        canvas.dot((x, float(y)), radius, colour)


def shirt_collar(canvas: Canvas, torso: Torso, fabric: Fabric, *, reach: float = 0.17, stand: float = 0.07) -> None:
    """Draw the two leaves of a shirt collar."""
    low = torso.top + torso.drop
    for side in (1.0, -1.0):
        leaf = path(
            [(0.0, low), (torso.neck * 0.62, torso.top - 0.01), (torso.neck * 0.8, torso.top - stand)],
            [
                (torso.neck * 0.8, torso.top - stand),
                (torso.neck * 1.12, torso.top - 0.01),
                (torso.neck * 1.1, low - 0.06),
            ],
            [(torso.neck * 1.05, low - 0.02), (torso.neck * 0.7, low + reach * 0.62)],
            [(torso.neck * 0.7, low + reach * 0.62), (0.0, low)],
        )
        canvas.part(leaf if side > 0 else flipped(leaf), fabric, turn=side * 0.5, relief=0.6)


def lapels(canvas: Canvas, torso: Torso, fabric: Fabric, *, depth: float, width: float = 0.2) -> None:
    """Draw a tailored collar with notched lapels that meet ``depth`` below the neck."""
    low = torso.top + depth
    for side in (-1.0, 1.0):
        leaf = path(
            [(torso.neck * 0.85, torso.top - 0.045), (torso.neck * 0.75, torso.top + 0.1), (0.02, low)],
            [(0.02, low), (width * 0.75, low - depth * 0.3), (width + 0.05, torso.top + depth * 0.42)],
            [(width + 0.05, torso.top + depth * 0.42), (width - 0.02, torso.top + depth * 0.36)],
            [(width - 0.02, torso.top + depth * 0.36), (width + 0.035, torso.top + depth * 0.26)],
            [
                (width + 0.035, torso.top + depth * 0.26),
                (torso.neck * 1.25, torso.top - 0.005),
                (torso.neck * 0.85, torso.top - 0.045),
            ],
        )
        canvas.part(leaf if side > 0 else flipped(leaf), fabric, turn=side * 0.35, relief=0.6)


def patch_pocket(
    canvas: Canvas, x: float, y: float, width: float, height: float, fabric: Fabric, *, flap: float = 0.0
) -> None:
    """Draw a sewn-on pocket with its upper middle at (x, y), and a flap where wanted."""
    seam = contrast(fabric.base, 0.3)
    shape = [
        (x - width, y),
        (x + width, y),
        (x + width, y + height * 0.8),
        (x, y + height),
        (x - width, y + height * 0.8),
    ]
    canvas.inlay(np.array(shape), fabric)
    canvas.line([*shape, shape[0]], seam, width=0.01)
    if flap:
        lid = [(x - width, y), (x + width, y), (x + width, y + flap * 0.7), (x, y + flap), (x - width, y + flap * 0.7)]
        canvas.blob(lid, tone(fabric.base, 0.93))
        canvas.line([*lid, lid[0]], seam, width=0.01)
        canvas.dot((x, y + flap * 0.62), 0.014, contrast(fabric.base, 0.5))
    else:
        canvas.line([(x - width, y + 0.03), (x + width, y + 0.03)], seam, width=0.008)


def zip_line(canvas: Canvas, points: list[Point], colour: Rgb) -> None:
    """Draw a zip with its slider at the start."""
    canvas.line(points, tone(colour, 0.7), width=0.03)
    canvas.stitches(points, tone(colour, 1.5), dash=2)
    canvas.blob(
        [
            (points[0][0] - 0.012, points[0][1]),
            (points[0][0] + 0.012, points[0][1]),
            (points[0][0] + 0.01, points[0][1] + 0.06),
            (points[0][0] - 0.01, points[0][1] + 0.06),
        ],
        (196, 198, 202),
    )
