"""Artists for tops: T-shirts, shirts, pullovers and hoodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing import garment as cut
from backend.sample.drawing.canvas import flipped, path, symmetric
from backend.sample.drawing.garment import Sleeve, Torso
from backend.sample.drawing.motifs import print_motif
from backend.sample.drawing.patterns import Fabric, brightness, contrast, tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas, Points
    from backend.sample.drawing.dice import Dice
    from backend.sample.drawing.patterns import Rgb
    from backend.sample.range import Look


def draw_t_shirt(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a T-shirt: crew neck, V-neck, scoop neck, ringer, cropped or long-sleeved."""
    style, fabric = look.style, look.fabric
    vee = style == "V-neck"
    torso = Torso(
        neck=dice.between("neck", 0.15, 0.19) + 0.035 * (style == "scoop-neck"),
        drop={"V-neck": 0.28, "scoop-neck": 0.24}.get(style, dice.between("drop", 0.1, 0.14)),
        sharp=float(vee),
        shoulder=dice.between("shoulder", 0.41, 0.47),
        chest=dice.between("chest", 0.41, 0.48),
        waist=dice.between("waist", 0.4, 0.45),
        hem=dice.between("hem", 0.42, 0.48),
        length=0.36 if style == "cropped" else dice.between("length", 0.6, 0.76),
    )
    long = style == "long-sleeve"
    sleeve = Sleeve(
        length=dice.between("sleeve", 0.98, 1.06) if long else dice.between("sleeve", 0.3, 0.4),
        angle=dice.between("angle", 20, 25) if long else dice.between("angle", 38, 50),
        cuff=0.085 if long else dice.between("cuff", 0.14, 0.17),
        rib=0.05 if style == "ringer" else 0.0,
    )
    trim = fabric.plain(look.trim) if style == "ringer" else fabric.plain(tone(fabric.base, 0.92))
    cut.lining(canvas, torso, tone(fabric.base, 0.72))
    cut.sleeves(canvas, torso, sleeve, fabric, trim)
    canvas.part(torso.outline(), fabric)
    cut.drape(canvas, torso, dice.between("lean", -1, 1))
    seam = contrast(fabric.base, 0.2)
    canvas.line(
        [(-torso.hem + 0.01, torso.length - 0.05), (0, torso.length - 0.02), (torso.hem - 0.01, torso.length - 0.05)],
        seam,
        width=0.008,
    )
    canvas.band(torso.full_neckline(), 0.045, trim, relief=0.2)
    if fabric.pattern == "plain":
        _chest(canvas, look, dice)


def _chest(canvas: Canvas, look: Look, dice: Dice) -> None:
    if look.print_motif:
        print_motif(canvas, look, (0.0, -0.2), dice.between("print", 0.17, 0.22))
    elif look.style != "cropped" and dice.chance("pocket", 0.5):
        cut.patch_pocket(canvas, 0.2, -0.3, 0.09, 0.19, look.fabric)


def draw_shirt(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a button-through shirt: classic, short-sleeved, band collar, camp collar or overshirt."""
    style, fabric = look.style, look.fabric
    short = style in {"short-sleeve", "camp-collar"}
    torso = Torso(
        top=-0.7,
        neck=0.155,
        drop=0.12 if style != "camp-collar" else 0.2,
        sharp=0.6,
        shoulder=dice.between("shoulder", 0.41, 0.45),
        chest=dice.between("chest", 0.41, 0.46),
        waist=dice.between("waist", 0.37, 0.43),
        hem=dice.between("hem", 0.41, 0.46),
        length=dice.between("length", 0.62, 0.76),
    )
    sleeve = Sleeve(
        length=dice.between("sleeve", 0.36, 0.46) if short else dice.between("sleeve", 0.98, 1.06),
        angle=dice.between("angle", 36, 44) if short else dice.between("angle", 19, 24),
        cuff=0.15 if short else 0.09,
        rib=0.0 if short else 0.1,
    )
    cut.lining(canvas, torso, tone(fabric.base, 0.7), rise=0.055)
    cut.sleeves(canvas, torso, sleeve, fabric, fabric)
    canvas.part(_shirt_tails(torso) if style != "camp-collar" else torso.outline(), fabric)
    cut.drape(canvas, torso, dice.between("lean", -1, 1), 0.9)
    _placket(canvas, torso, look)
    if style == "overshirt":
        for x in (-0.21, 0.21):
            cut.patch_pocket(canvas, x, -0.32, 0.1, 0.2, fabric, flap=0.08)
    elif dice.chance("pocket", 0.6):
        cut.patch_pocket(canvas, 0.21, -0.31, 0.09, 0.19, fabric)
    if style == "band-collar":
        canvas.band(torso.full_neckline() + np.array([0, -0.02]), 0.07, fabric.plain(), relief=0.4)
    else:
        cut.shirt_collar(
            canvas, torso, fabric, reach=0.25 if style == "camp-collar" else dice.between("reach", 0.15, 0.2)
        )


def _shirt_tails(torso: Torso) -> Points:
    """The outline of a torso with rounded shirt tails."""
    low, wide = torso.length, torso.hem
    upper = torso.outline()
    keep = upper[(upper[:, 1] < low - 0.09)]
    half = len(keep) // 2
    tail = path([(wide, low - 0.1), (wide * 0.82, low - 0.03), (wide * 0.45, low + 0.06), (0.0, low + 0.08)])
    return np.concatenate([keep[:half], tail, flipped(tail)[::-1], keep[half:]])


def _placket(canvas: Canvas, torso: Torso, look: Look) -> None:
    seam = contrast(look.fabric.base, 0.28)
    start, end = torso.top + torso.drop + 0.02, torso.length + (0.02 if look.style == "camp-collar" else 0.07)
    for x in (-0.038, 0.038):
        canvas.line([(x, start), (x, end)], seam, width=0.009)
    cut.buttons(canvas, 0.0, start + 0.08, end - 0.16, 6, look.trim)


def draw_pullover(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a knitted pullover: crew neck, V-neck, roll neck, cardigan or slipover."""
    style, fabric = look.style, look.fabric
    deep = style in {"V-neck", "cardigan", "slipover"}
    torso = Torso(
        top=-0.68,
        neck=dice.between("neck", 0.15, 0.18),
        drop=0.36 if deep else 0.11,
        sharp=1.0 if deep else 0.0,
        shoulder=dice.between("shoulder", 0.42, 0.5) - 0.06 * (style == "slipover"),
        slope=0.11,
        armhole=0.42,
        chest=dice.between("chest", 0.43, 0.5),
        waist=dice.between("waist", 0.44, 0.5),
        hem=dice.between("hem", 0.41, 0.46),
        length=dice.between("length", 0.56, 0.68),
    )
    rib = fabric.plain(look.trim if style == "slipover" or dice.chance("tipped", 0.25) else tone(fabric.base, 0.86))
    rib = Fabric("ribbed", rib.base, scale=0.8)
    cut.lining(canvas, torso, tone(fabric.base, 0.66))
    if style != "slipover":
        sleeve = Sleeve(
            dice.between("sleeve", 0.94, 1.02), dice.between("angle", 18, 23), dice.between("cuff", 0.1, 0.13), 0.12
        )
        cut.sleeves(canvas, torso, sleeve, fabric, rib)
    canvas.part(torso.outline(), fabric, relief=1.2)
    cut.drape(canvas, torso, dice.between("lean", -1, 1), 0.8)
    cut.hem_band(canvas, torso, 0.12, rib)
    _knit_neck(canvas, torso, look, rib)


def _knit_neck(canvas: Canvas, torso: Torso, look: Look, rib: Fabric) -> None:
    if look.style == "roll-neck":
        wide, top = torso.neck, torso.top
        collar = symmetric(
            [(0, top - 0.17), (wide * 0.8, top - 0.16)],
            [(wide * 0.8, top - 0.16), (wide * 1.05, top - 0.05), (wide * 1.1, top + 0.03)],
            [(wide * 1.1, top + 0.03), (wide * 0.6, top + 0.09), (0, top + 0.11)],
        )
        canvas.part(collar, rib)
        canvas.line(
            [(-wide * 0.78, top - 0.13), (0, top - 0.115), (wide * 0.78, top - 0.13)],
            contrast(rib.base, 0.3),
            width=0.01,
        )
        return
    canvas.band(torso.full_neckline(), 0.07, rib, relief=0.5)
    if look.style == "cardigan":
        low = torso.top + torso.drop
        canvas.band(np.array([(0.0, low), (0.0, torso.length + 0.005)]), 0.085, rib, relief=0.4)
        cut.buttons(canvas, 0.0, low + 0.05, torso.length - 0.06, 5, look.trim, radius=0.026)
    if look.style == "slipover":
        tip, under = (torso.shoulder - 0.01, torso.top + torso.slope), (torso.chest - 0.01, torso.top + torso.armhole)
        arm = path([tip, (torso.shoulder - 0.045, (tip[1] + under[1]) / 2), under])
        for line in (arm, flipped(arm)):
            canvas.band(line, 0.05, rib, relief=0.4)


def draw_hoodie(canvas: Canvas, look: Look, dice: Dice) -> None:
    """Draw a hoodie: pullover, zip-through, cropped or colour-block."""
    style, fabric = look.style, look.fabric
    torso = Torso(
        top=-0.56,
        neck=0.2,
        drop=0.16,
        shoulder=dice.between("shoulder", 0.44, 0.5),
        slope=0.12,
        armhole=0.42,
        chest=dice.between("chest", 0.45, 0.5),
        waist=dice.between("waist", 0.45, 0.5),
        hem=dice.between("hem", 0.41, 0.45),
        length=0.46 if style == "cropped" else dice.between("length", 0.66, 0.74),
    )
    rib = Fabric("ribbed", tone(fabric.base, 0.84), scale=0.8)
    sleeve = Sleeve(dice.between("sleeve", 0.94, 1.0), dice.between("angle", 18, 23), 0.115, 0.11)
    cut.sleeves(canvas, torso, sleeve, fabric, rib)
    canvas.part(torso.outline(), fabric, relief=1.2)
    cut.drape(canvas, torso, dice.between("lean", -1, 1), 0.8)
    cut.hem_band(canvas, torso, 0.11, rib)
    _hood(canvas, torso, look)
    _kangaroo(canvas, torso, look)
    if style == "zip-through":
        cut.zip_line(canvas, [(0.0, torso.top + torso.drop + 0.05), (0.0, torso.length + 0.02)], tone(fabric.base, 0.8))
    elif look.print_motif and style != "cropped" and fabric.pattern == "plain":
        print_motif(canvas, look, (0.0, 0.03), 0.14)


def _hood(canvas: Canvas, torso: Torso, look: Look) -> None:
    top, wide = torso.top, torso.neck
    base = look.fabric.plain()
    shell = symmetric(
        [
            (0, top - 0.34),
            (wide * 0.95, top - 0.27),
            (wide * 1.42, top - 0.02),
            (wide * 1.15, top + 0.13),
            (0, top + 0.21),
        ]
    )
    canvas.part(shell, look.fabric if look.fabric.pattern != "block" else base, relief=1.2)
    mouth = symmetric(
        [
            (0, top - 0.24),
            (wide * 0.62, top - 0.18),
            (wide * 0.8, top - 0.01),
            (wide * 0.45, top + 0.12),
            (0, top + 0.17),
        ]
    )
    canvas.part(mouth, base.plain(_inside(look)), relief=-0.9)
    cord = look.cord
    for side in (-1, 1):
        line = path([(side * 0.07, top + 0.15), (side * 0.085, top + 0.27), (side * 0.075, top + 0.4 + 0.02 * side)])
        canvas.line(line, tone(cord, 0.7), width=0.03)
        canvas.line(line, cord, width=0.02)


def _inside(look: Look) -> Rgb:
    """The lining of a hood: in the trim's colour, unless that is so light that it would look like a hole."""
    return tone(look.trim, 0.9) if brightness(look.trim) < 170 else tone(look.fabric.base, 0.62)


def _kangaroo(canvas: Canvas, torso: Torso, look: Look) -> None:
    low, seam = torso.length - 0.11, contrast(look.fabric.base, 0.32)
    half = [(0.17, low - 0.3), (0.17, low - 0.3), (0.3, low - 0.1), (0.3, low)]
    canvas.line([(-x, y) for x, y in half[::-1]] + half, seam, width=0.014)
    canvas.folds(
        [([(0.2, low - 0.26), (0.31, low - 0.1)], -0.3), ([(-0.2, low - 0.26), (-0.31, low - 0.1)], -0.3)], width=0.04
    )
