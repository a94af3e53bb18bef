"""Artists for dresses and skirts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing import garment as cut
from backend.sample.drawing.canvas import box, flipped, oval, path, symmetric
from backend.sample.drawing.garment import Sleeve, Torso
from backend.sample.drawing.patterns import contrast, tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas, Point, Points
    from backend.sample.drawing.dice import Dice
    from backend.sample.range import Look


@dataclass(frozen=True, slots=True)
class Skirt:
    """The cut of a skirt, alone or below a bodice, in object units; widths are half widths."""

    waist: float
    top: float
    flare: float
    low: float


def draw_dress(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a dress: skater, shift, maxi, slip, shirt dress, wrap dress or tiered dress."""
    style, fabric = look.style, look.fabric
    waist_y = dice.between("waist_y", -0.2, -0.1)
    low = {"maxi": 0.9, "slip": 0.76, "shirt": 0.7, "tiered": 0.84}.get(style, dice.between("length", 0.46, 0.66))
    torso = Torso(
        top=-0.84,
        neck=dice.between("neck", 0.12, 0.17),
        drop=0.34 if style == "wrap" else dice.between("drop", 0.1, 0.2),
        sharp=1.0 if style in {"wrap", "shirt"} else 0.1,
        shoulder=dice.between("shoulder", 0.29, 0.32) - 0.05 * (style in {"skater", "tiered"}),
        slope=0.06,
        armhole=0.3,
        chest=dice.between("chest", 0.28, 0.31),
    )
    flare = {"shift": 0.34, "slip": 0.36, "shirt": 0.38, "maxi": 0.5}.get(style, dice.between("flare", 0.48, 0.66))
    waist = 0.28 if style == "shift" else dice.between("waist", 0.2, 0.24)
    if style == "slip":
        _slip(canvas, look, Skirt(waist, -0.14, flare, low), dice)
        return
    cut.lining(canvas, torso, tone(fabric.base, 0.7))
    if _sleeved(style, dice):
        long = style in {"wrap", "shirt", "tiered"} and dice.chance("long", 0.55)
        sleeve = Sleeve(
            0.72 if long else dice.between("sleeve", 0.24, 0.34),
            17 if long else 38,
            0.075 if long else 0.105,
            0.06 if long else 0.0,
        )
        cut.sleeves(canvas, torso, sleeve, fabric)
    skirt = Skirt(waist, waist_y, flare, low)
    canvas.part(_dress_outline(torso, skirt), fabric)
    _gathers(canvas, skirt, dice)
    canvas.line(torso.full_neckline(), contrast(fabric.base, 0.35), width=0.014)
    _dress_details(canvas, look, torso, skirt)


def _sleeved(style: str, dice: Dice) -> bool:
    return style in {"shirt", "wrap"} or dice.chance("sleeved", 0.5)


def _dress_outline(torso: Torso, skirt: Skirt) -> Points:
    waist, waist_y, flare, low = skirt.waist, skirt.top, skirt.flare, skirt.low
    bodice = replace(torso, waist=(torso.chest + waist) / 2, hem=waist, length=waist_y).outline()
    upper = bodice[bodice[:, 1] < waist_y - 0.01]
    half = len(upper) // 2
    bell = (waist + flare) / 2 + 0.03
    lower = path(
        [(waist, waist_y), (bell, (waist_y + low) / 2 - 0.06), (flare, low - 0.03)],
        [(flare, low - 0.03), (flare * 0.5, low + 0.015), (0.0, low + 0.03)],
    )
    return np.concatenate([upper[:half], lower, flipped(lower)[::-1], upper[half:]])


def _gathers(canvas: Canvas, skirt: Skirt, dice: Dice, *, count: int = 7) -> None:
    """Model a skirt with folds that fan out from the waist."""
    waist, top, flare, low = skirt.waist, skirt.top, skirt.flare, skirt.low
    folds: list[tuple[list[Point], float]] = []
    for i, share in enumerate(np.linspace(-0.85, 0.85, count)):
        x = float(share) + dice.between(f"fold{i}", -0.06, 0.06)
        line = [(x * waist, top + 0.05), (x * (waist + flare) / 2, (top + low) / 2), (x * flare, low)]
        folds += [(line, -0.26), ([(a + 0.045, b) for a, b in line], 0.18)]
    canvas.folds(folds, width=0.03 + 0.03 * flare, blur=2.4)


def _dress_details(canvas: Canvas, look: Look, torso: Torso, skirt: Skirt) -> None:
    style, waist, y = look.style, skirt.waist + 0.01, skirt.top
    if style in {"skater", "maxi", "wrap", "shirt"}:
        belt = look.trim if style in {"skater", "shirt"} else tone(look.fabric.base, 0.84)
        canvas.part(box(-waist, y - 0.035, waist, y + 0.035), look.fabric.plain(belt), relief=0.4)
    if style == "shirt":
        _button_through(canvas, look, torso, skirt)
    elif style == "wrap":
        _wrapped(canvas, look, torso, skirt)
    elif style == "tiered":
        _tiers(canvas, look, skirt, (0.0, 0.36, 0.7))


def _button_through(canvas: Canvas, look: Look, torso: Torso, skirt: Skirt) -> None:
    start = torso.top + torso.drop
    for x in (-0.03, 0.03):
        canvas.line([(x, start), (x, skirt.low + 0.02)], contrast(look.fabric.base, 0.32), width=0.008)
    cut.buttons(canvas, 0.0, start + 0.07, skirt.low - 0.1, 9, look.trim, radius=0.016)
    cut.shirt_collar(canvas, torso, look.fabric, reach=0.14)


def _wrapped(canvas: Canvas, look: Look, torso: Torso, skirt: Skirt) -> None:
    seam, waist, y = contrast(look.fabric.base, 0.32), skirt.waist, skirt.top
    bodice = path([(-torso.neck, torso.top), (0.0, torso.top + torso.drop), (waist, y)])
    overlap = path([(waist * 0.6, y), (waist * 0.4, (y + skirt.low) / 2), (skirt.flare * 0.5, skirt.low)])
    for line in (bodice, overlap):
        canvas.line(line, seam, width=0.014)
    ends = (
        [(waist * 0.8, y), (waist + 0.04, y + 0.16), (waist + 0.02, y + 0.28)],
        [(waist * 0.8, y), (waist - 0.03, y + 0.2)],
    )
    for end in ends:
        canvas.band(path(end), 0.035, look.fabric.plain(tone(look.fabric.base, 0.86)), relief=0.3)


def _tiers(canvas: Canvas, look: Look, skirt: Skirt, shares: tuple[float, ...]) -> None:
    seam = look.fabric.plain(contrast(look.fabric.base, 0.34))
    for share in shares:
        y, half = (
            skirt.top + share * (skirt.low - skirt.top),
            skirt.waist + (skirt.flare - skirt.waist) * (share + 0.08),
        )
        line = [(-half, y), (0.0, y + 0.03), (half, y)]
        canvas.inlay([*line, *[(x, z + 0.014) for x, z in line[::-1]]], seam)
        canvas.folds([([(x, z + 0.03) for x, z in line], -0.42)], width=0.035)


def _slip(canvas: Canvas, look: Look, skirt: Skirt, dice: Dice) -> None:
    fabric, waist, flare, low = look.fabric, skirt.waist, skirt.flare, skirt.low
    for side in (-1, 1):
        canvas.line([(side * 0.17, -0.5), (side * 0.13, -0.84)], contrast(fabric.base, 0.2), width=0.022)
    body = symmetric(
        [(0.0, -0.4), (0.1, -0.45), (0.18, -0.55)],
        [(0.18, -0.55), (0.24, -0.46), (0.28, -0.34)],
        [(0.28, -0.34), (waist, -0.08), (waist + 0.08, 0.16), (flare, low)],
        [(flare, low), (flare * 0.5, low + 0.03), (0.0, low + 0.035)],
    )
    canvas.part(body, fabric)
    _gathers(canvas, skirt, dice, count=5)
    if fabric.pattern == "plain":
        hem = [(flare - 0.005, low - 0.05), (flare * 0.5, low - 0.02), (0.0, low - 0.01)]
        canvas.line([*[(-x, y) for x, y in hem], *hem[::-1]], contrast(fabric.base, 0.2), width=0.01)


def draw_skirt(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a skirt: pencil, A-line, pleated, button-front, tiered or mini."""
    style, fabric = look.style, look.fabric
    waist = dice.between("waist", 0.27, 0.31)
    flare = {"pencil": 0.34, "mini": 0.46, "button-front": 0.5}.get(style, dice.between("flare", 0.56, 0.72))
    low = {"pencil": 0.62, "mini": 0.2, "pleated": 0.6}.get(style, dice.between("length", 0.46, 0.74))
    hip = waist + (0.1 if style == "pencil" else (flare - waist) * 0.42)
    body = symmetric(
        [(0.0, -0.6), (waist, -0.6)],
        [(waist, -0.6), (hip, -0.6 + (low + 0.6) * 0.36), (flare, low - 0.03)],
        [(flare, low - 0.03), (flare * 0.5, low + 0.015), (0.0, low + 0.03)],
    )
    skirt = Skirt(waist, -0.6, flare, low)
    canvas.part(body, fabric)
    if style == "pleated":
        _pleats(canvas, look, skirt)
    elif style in {"A-line", "tiered"}:
        _gathers(canvas, skirt, dice, count=6 if style == "A-line" else 9)
    else:
        canvas.folds(
            [
                ([(0.12, -0.4), (0.16, low)], -0.16),
                ([(-0.14, -0.3), (-0.2, low)], -0.14),
                ([(0.0, -0.4), (-0.02, low)], 0.14),
            ],
            width=0.1,
        )
    _skirt_details(canvas, look, skirt)
    band = np.array(
        [(-waist - 0.008, -0.67), (waist + 0.008, -0.67), (waist + 0.012, -0.575), (-waist - 0.012, -0.575)]
    )
    canvas.part(band, fabric.plain(tone(fabric.base, 0.9)), relief=0.6)


def _pleats(canvas: Canvas, look: Look, skirt: Skirt) -> None:
    waist, flare, low = skirt.waist, skirt.flare, skirt.low
    shares = np.linspace(-0.9, 0.9, 10)
    lines = [([(s * waist, -0.58), (s * flare, low + 0.03 * (1 - s * s))], s) for s in map(float, shares)]
    for line, _ in lines:
        canvas.inlay(
            [*line, (line[1][0] + 0.012, line[1][1]), (line[0][0] + 0.008, line[0][1])],
            look.fabric.plain(contrast(look.fabric.base, 0.38)),
        )
    canvas.folds([([(x - 0.02, y) for x, y in line], -0.4) for line, _ in lines], width=0.028, blur=1.4)
    canvas.folds([([(x + 0.05, y) for x, y in line], 0.24) for line, _ in lines], width=0.03, blur=1.6)


def _skirt_details(canvas: Canvas, look: Look, skirt: Skirt) -> None:
    if look.style == "tiered":
        _tiers(canvas, look, skirt, (0.34, 0.68))
    elif look.style == "pencil":
        _vent(canvas, look, skirt)
    elif look.style in {"button-front", "mini"}:
        _jeans_front(canvas, look, skirt)
    elif look.style == "A-line" and look.fabric.pattern == "plain":
        _bow(canvas, (0.0, skirt.top), 0.1, look)


def _vent(canvas: Canvas, look: Look, skirt: Skirt) -> None:
    seam = contrast(look.fabric.base, 0.34)
    canvas.line([(0.12, 0.36), (0.13, skirt.low + 0.02)], seam, width=0.016)
    canvas.folds([([(0.15, 0.36), (0.16, skirt.low)], -0.3)], width=0.03)
    for x in (-0.16, 0.16):
        canvas.line([(x, -0.575), (x * 0.88, -0.38)], seam, width=0.008)


def _jeans_front(canvas: Canvas, look: Look, skirt: Skirt) -> None:
    seam, low, waist = contrast(look.fabric.base, 0.34), skirt.low, skirt.waist
    thread = (222, 176, 110) if look.fabric.pattern == "denim" else seam
    for side in (-1, 1):
        pocket = [(side * waist * 0.4, -0.575), (side * waist * 0.55, -0.45), (side * (waist + 0.03), -0.42)]
        canvas.stitches(path(pocket), thread)
    canvas.stitches([(-skirt.flare, low - 0.09), (0.0, low - 0.04), (skirt.flare, low - 0.09)], thread)
    if look.style == "mini":
        canvas.line([(0.0, -0.58), (0.0, low + 0.02)], seam, width=0.01)
        return
    for x in (-0.045, 0.045):
        canvas.line([(x, -0.58), (x, low + 0.025)], seam, width=0.009)
    cut.buttons(canvas, 0.0, -0.48, low - 0.08, 6, look.trim, radius=0.026)


def _bow(canvas: Canvas, centre: Point, size: float, look: Look) -> None:
    x, y = centre
    for side in (-1, 1):
        loop = path([(x, y), (x + side * size, y - size * 0.5), (x + side * size, y + size * 0.5), (x, y)])
        canvas.part(loop, look.fabric.plain(look.trim))
    canvas.part(oval(centre, size * 0.25, size * 0.28), look.fabric.plain(tone(look.trim, 0.9)))
