"""Pictures printed on the chest of T-shirts and hoodies: a few flat shapes each, in the colours of the look."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from backend.sample.drawing.canvas import oval, path
from backend.sample.drawing.patterns import tone

if TYPE_CHECKING:
    from backend.sample.drawing.canvas import Canvas, Point, Points
    from backend.sample.range import Look


def print_motif(canvas: Canvas, look: Look, centre: Point, size: float) -> None:
    """Print the look's motif around a point; ``size`` is about half its width, in object units."""
    _MOTIFS[look.print_motif](canvas, look, np.array(centre), size)


def _sun(canvas: Canvas, look: Look, centre: Points, size: float) -> None:
    canvas.blob(oval((0.0, 0.0), size, size) + centre, look.fabric.second)
    for i in range(1, 5):
        canvas.line(np.array([(-1.0, 0.24 * i), (1.0, 0.24 * i)]) * size + centre, look.fabric.base, width=0.014 * i)


def _hills(canvas: Canvas, look: Look, centre: Points, size: float) -> None:
    canvas.blob(oval((0.45, -0.4), 0.3, 0.3) * size + centre, look.fabric.third)
    canvas.blob(np.array([(-1.1, 0.7), (-0.3, -0.6), (0.5, 0.7)]) * size + centre, look.fabric.second)
    canvas.blob(np.array([(-0.2, 0.7), (0.45, -0.1), (1.1, 0.7)]) * size + centre, tone(look.fabric.second, 0.8))


def _star(canvas: Canvas, look: Look, centre: Points, size: float) -> None:
    angles = np.arange(10) * math.pi / 5 - math.pi / 2
    radii = np.where(np.arange(10) % 2 == 0, 1.0, 0.42)
    canvas.blob(np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1) * size + centre, look.fabric.second)


def _heart(canvas: Canvas, look: Look, centre: Points, size: float) -> None:
    t = np.linspace(0, 2 * math.pi, 40)
    shape = np.stack([16 * np.sin(t) ** 3, -13 * np.cos(t) + 5 * np.cos(2 * t) + 2 * np.cos(3 * t)], axis=1)
    canvas.blob(shape / 17 * size + centre, look.fabric.second)


def _bars(canvas: Canvas, look: Look, centre: Points, size: float) -> None:
    bar = np.array([(-1.1, -0.5), (1.1, -0.5), (1.1, -0.15), (-1.1, -0.15)])
    for i, colour in enumerate((look.fabric.second, look.fabric.third, tone(look.fabric.second, 1.4))):
        canvas.blob((bar + np.array([0.0, 0.48 * i])) * size + centre, colour)


def _leaf(canvas: Canvas, look: Look, centre: Points, size: float) -> None:
    blade = path([(0.0, 1.0), (-0.75, 0.0), (0.0, -1.1)], [(0.0, -1.1), (0.75, 0.0), (0.0, 1.0)])
    canvas.blob(blade * size + centre, look.fabric.second)
    canvas.line(np.array([(0.0, 1.25), (0.0, -0.7)]) * size + centre, look.fabric.base, width=0.016)


def _wave(canvas: Canvas, look: Look, centre: Points, size: float) -> None:
    t = np.linspace(-1.2, 1.2, 30)
    for i, colour in enumerate((look.fabric.second, look.fabric.third, look.fabric.second)):
        crest = np.stack([t, 0.5 * i - 0.5 + 0.16 * np.sin(t * 5)], axis=1)
        canvas.line(crest * size + centre, colour, width=0.03)


_MOTIFS = {"sun": _sun, "hills": _hills, "star": _star, "heart": _heart, "bars": _bars, "leaf": _leaf, "wave": _wave}
