"""Artists for bottoms: trousers and shorts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing.canvas import path, symmetric
from backend.sample.drawing.patterns import Fabric, contrast, tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas, Points
    from backend.sample.drawing.dice import Dice
    from backend.sample.range import Look

BRASS = (204, 176, 118)
THREAD = (222, 176, 110)


@dataclass(frozen=True, slots=True)
class Legs:
    """The cut of trousers or shorts, in object units; widths are half widths, ``ankle_x`` is the middle of a leg."""

    top: float
    waist: float
    hip: float
    crotch: float
    knee: float
    ankle: float
    ankle_x: float
    low: float

    def outline(self) -> Points:
        """Return the closed outline of both legs."""
        middle = (self.crotch + self.low) / 2
        knee_x = (self.ankle_x + self.hip * 0.52) / 2
        return symmetric(
            [(0.0, self.top), (self.waist, self.top)],
            [
                (self.waist, self.top),
                (self.hip, self.crotch - 0.1),
                (knee_x + self.knee, middle),
                (self.ankle_x + self.ankle, self.low),
            ],
            [
                (self.ankle_x + self.ankle, self.low),
                (self.ankle_x, self.low + 0.015),
                (self.ankle_x - self.ankle, self.low + 0.02),
            ],
            [
                (self.ankle_x - self.ankle, self.low + 0.02),
                (max(knee_x - self.knee, 0.015), middle),
                (0.012, self.crotch + 0.02),
            ],
            [(0.012, self.crotch + 0.02), (0.0, self.crotch)],
        )


def draw_trousers(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw trousers: straight jeans, skinny jeans, wide-leg, chinos, joggers, cropped or flared."""
    style, fabric = look.style, look.fabric
    ankle = {"skinny": 0.085, "wide-leg": 0.185, "joggers": 0.1, "flared": 0.2, "cropped": 0.15}.get(
        style, dice.between("ankle", 0.12, 0.145)
    )
    knee = {"wide-leg": 0.17, "skinny": 0.115, "joggers": 0.165, "flared": 0.13}.get(style, 0.145)
    legs = Legs(
        top=-0.88,
        waist=dice.between("waist", 0.26, 0.29),
        hip=dice.between("hip", 0.33, 0.36),
        crotch=dice.between("crotch", -0.34, -0.28),
        knee=knee,
        ankle=ankle,
        ankle_x=dice.between("stance", 0.19, 0.25) + 0.045 * (style == "wide-leg"),
        low=0.62 if style == "cropped" else dice.between("length", 0.84, 0.9),
    )
    canvas.part(legs.outline(), fabric)
    _leg_folds(canvas, legs, crease=style in {"wide-leg", "cropped"})
    _front(canvas, legs, look)
    if style == "joggers":
        _elastic(canvas, legs, look)
        _leg_ends(canvas, legs, Fabric("ribbed", tone(fabric.base, 0.86), scale=0.7), 0.09)
    else:
        _waistband(canvas, legs, look, dice)
    if style == "straight" and dice.chance("turn-up", 0.4):
        _leg_ends(canvas, legs, fabric.plain(tone(fabric.base, 1.3)), 0.08)


def draw_shorts(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw shorts: chino, denim, running, Bermuda or swim shorts."""
    style, fabric = look.style, look.fabric
    low = {"running": 0.2, "denim": 0.3, "bermuda": 0.62}.get(style, dice.between("length", 0.36, 0.5))
    legs = Legs(
        top=-0.52,
        waist=dice.between("waist", 0.4, 0.44),
        hip=dice.between("hip", 0.5, 0.54),
        crotch=dice.between("crotch", 0.1, 0.14) - 0.12 * (style == "running"),
        knee=0.265,
        ankle=dice.between("leg", 0.25, 0.28) + 0.04 * (style == "running"),
        ankle_x=0.33 + 0.02 * (style == "running"),
        low=low,
    )
    canvas.part(legs.outline(), fabric)
    _leg_folds(canvas, legs, crease=style == "bermuda")
    if style in {"running", "swim"}:
        _elastic(canvas, legs, look)
        if style == "running":
            _side_stripes(canvas, legs, look)
    else:
        _front(canvas, legs, look)
        _waistband(canvas, legs, look, dice)
    if style in {"chino", "denim"} and dice.chance("turn-up", 0.5):
        _leg_ends(canvas, legs, fabric.plain(tone(fabric.base, 1.25)), 0.09)
    else:
        _hem_seams(canvas, legs, look)


def _leg_folds(canvas: Canvas, legs: Legs, *, crease: bool) -> None:
    folds: list[tuple[list[tuple[float, float]], float]] = []
    for side in (-1.0, 1.0):
        middle = [(side * legs.hip * 0.55, legs.crotch - 0.1), (side * legs.ankle_x, legs.low)]
        folds.append((middle, 0.3 if crease else 0.22))
        folds.append(([(side * 0.03, legs.crotch), (side * legs.hip * 0.5, legs.crotch - 0.1)], -0.3))
        folds.append(([(side * 0.05, legs.crotch + 0.06), (side * legs.hip * 0.45, legs.crotch + 0.03)], -0.22))
        inner = [(side * (legs.ankle_x - legs.ankle * 0.7), legs.low), (side * 0.08, legs.crotch + 0.1)]
        folds.append((inner, -0.25))
        knee = (legs.crotch + legs.low) / 2
        folds.append(
            (
                [
                    (side * (legs.ankle_x - legs.knee * 0.8), knee),
                    (side * (legs.ankle_x + legs.knee * 0.3), knee - 0.05),
                ],
                -0.14,
            )
        )
    canvas.folds(folds, width=0.06, blur=3.0)
    if crease:
        for side in (-1.0, 1.0):
            canvas.folds(
                [([(side * legs.hip * 0.55, legs.top + 0.12), (side * legs.ankle_x, legs.low)], -0.3)],
                width=0.014,
                blur=0.8,
            )


def _front(canvas: Canvas, legs: Legs, look: Look) -> None:
    seam = THREAD if look.fabric.pattern == "denim" else contrast(look.fabric.base, 0.36)
    canvas.line([(0.0, legs.top + 0.06), (0.0, legs.crotch)], contrast(look.fabric.base, 0.4), width=0.012)
    rise = legs.crotch - legs.top
    fly = path([(0.07, legs.top + 0.06), (0.07, legs.top + rise * 0.5), (0.01, legs.top + rise * 0.74)])
    canvas.stitches(fly, seam, dash=3)
    for side in (-1.0, 1.0):
        if look.style in {"straight", "skinny", "denim", "flared"}:
            curve = path(
                [
                    (side * legs.waist * 0.42, legs.top + 0.07),
                    (side * legs.waist * 0.58, legs.top + rise * 0.34),
                    (side * (legs.waist + legs.hip) * 0.5, legs.top + rise * 0.38),
                ]
            )
            canvas.stitches(curve, seam, dash=3)
        else:
            canvas.line(
                [
                    (side * legs.waist * 0.62, legs.top + 0.07),
                    (side * (legs.waist * 0.45 + legs.hip * 0.52), legs.top + rise * 0.56),
                ],
                seam,
                width=0.013,
            )


def _waistband(canvas: Canvas, legs: Legs, look: Look, dice: Dice) -> None:
    wide, top = legs.waist + 0.006, legs.top
    band = np.array(
        [(-wide, top - 0.012), (wide, top - 0.012), (wide + 0.008, top + 0.075), (-wide - 0.008, top + 0.075)]
    )
    canvas.part(band, look.fabric, relief=0.5)
    if dice.chance("belt", 0.25) and look.fabric.pattern != "denim":
        canvas.part(band * np.array([1.0, 1.0]) + np.array([0.0, 0.004]), look.fabric.plain(look.trim), relief=0.5)
        canvas.line(
            [(-0.05, top + 0.0), (0.05, top + 0.0), (0.05, top + 0.07), (-0.05, top + 0.07), (-0.05, top)],
            BRASS,
            width=0.02,
        )
        return
    for x in (-0.62, -0.25, 0.25, 0.62):
        canvas.line([(x * wide, top - 0.015), (x * wide, top + 0.085)], contrast(look.fabric.base, 0.34), width=0.022)
    canvas.dot((0.0, top + 0.032), 0.024, BRASS)


def _elastic(canvas: Canvas, legs: Legs, look: Look) -> None:
    wide, top = legs.waist, legs.top
    band = np.array([(-wide, top - 0.02), (wide, top - 0.02), (wide + 0.012, top + 0.09), (-wide - 0.012, top + 0.09)])
    canvas.part(band, Fabric("ribbed", tone(look.fabric.base, 0.88), scale=0.6), relief=0.6)
    for side in (-1.0, 1.0):
        line = path([(side * 0.03, top + 0.05), (side * 0.075, top + 0.17), (side * 0.05, top + 0.27 + 0.02 * side)])
        canvas.line(line, tone(look.cord, 0.7), width=0.027)
        canvas.line(line, look.cord, width=0.018)
        pocket = [(side * wide * 0.72, top + 0.1), (side * (legs.hip - 0.03), top + 0.34)]
        canvas.line(pocket, contrast(look.fabric.base, 0.34), width=0.013)


def _leg_ends(canvas: Canvas, legs: Legs, fabric: Fabric, height: float) -> None:
    for side in (-1.0, 1.0):
        x, half, low = side * legs.ankle_x, legs.ankle + 0.008, legs.low + 0.012
        end = np.array(
            [(x - half, low - height), (x + half, low - height), (x + half, low + 0.008), (x - half, low + 0.008)]
        )
        canvas.part(end, fabric, relief=0.5)


def _hem_seams(canvas: Canvas, legs: Legs, look: Look) -> None:
    for side in (-1.0, 1.0):
        x, half, y = side * legs.ankle_x, legs.ankle - 0.01, legs.low - 0.035
        canvas.line([(x - half, y), (x, y + 0.012), (x + half, y)], contrast(look.fabric.base, 0.25), width=0.009)


def _side_stripes(canvas: Canvas, legs: Legs, look: Look) -> None:
    for side in (-1.0, 1.0):
        outer = legs.ankle_x + legs.ankle
        stripe = [
            (side * (legs.waist - 0.06), legs.top + 0.09),
            (side * (legs.waist + 0.03), legs.top + 0.09),
            (side * (legs.hip + 0.06), legs.crotch - 0.1),
            (side * (outer + 0.02), legs.low + 0.02),
            (side * (outer - 0.09), legs.low + 0.02),
            (side * (legs.hip - 0.06), legs.crotch - 0.1),
        ]
        canvas.inlay(stripe, look.fabric.plain(look.trim))
