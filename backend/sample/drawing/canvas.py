"""The studio of the sample catalogue: shapes in, a shaded and antialiased product picture out.

Artists work in object coordinates: x to the right and y down, both about -1..1 around the middle of the picture. The
canvas keeps two layers: flat colour, drawn larger than needed and reduced at the end, and a smooth shade of half that
size that is multiplied on last, so that light costs little.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from backend.sample.drawing.patterns import contrast, weave

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backend.sample.drawing.patterns import Fabric, Rgb

Point: TypeAlias = tuple[float, float]
Points: TypeAlias = NDArray[np.float64]

SIDE = 192
SUPER = 2
BIG = SIDE * SUPER
UNIT = 90.0  # pixels of the finished picture that one object unit takes
BACKDROP = (244, 243, 240)
NEUTRAL = 128  # the shade that leaves a colour as it is
_COARSE = 4  # light is computed on every fourth pixel of the big canvas
_HALO = 36  # how far, in big pixels, the shadow of a part reaches
_DIMMER = (255 - np.arange(256) * 5 // 16).astype(np.uint8)  # a part dims what lies beneath its rim


@dataclass(frozen=True, slots=True)
class Pose:
    """How an object is in the picture: size, turn in degrees, mirrored or not, and a shift in object units."""

    scale: float = 1.0
    degrees: float = 0.0
    mirrored: bool = False
    shift: Point = (0.0, 0.0)

    def matrix(self) -> Points:
        """Return the (2, 2) matrix from object units to pixels of the big canvas."""
        angle, size = math.radians(self.degrees), UNIT * SUPER * self.scale
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        return np.asarray(size * turn @ np.diag([-1.0 if self.mirrored else 1.0, 1.0]), dtype=np.float64)


def spline(points: Sequence[Point], *, steps: int = 8) -> Points:
    """Return a smooth line through the points (Catmull-Rom), (N, 2); two points give a straight line."""
    knots = np.asarray(points, dtype=np.float64)
    if len(knots) < 3:
        return knots
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    a, b, c, d = (padded[i : len(padded) - 3 + i][:, None, :] for i in range(4))
    line = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.concatenate([line.reshape(-1, 2), knots[-1:]])


def path(*segments: Sequence[Point]) -> Points:
    """Join smooth segments; where two of them meet there is a corner."""
    return np.concatenate([spline(segment) for segment in segments])


def flipped(points: Points | Sequence[Point]) -> Points:
    """Return the points on the other side of the middle line."""
    turned: Points = np.asarray(points, dtype=np.float64) * np.array([-1.0, 1.0])
    return turned


def symmetric(*segments: Sequence[Point]) -> Points:
    """Close an outline whose right half, from top to bottom, is given."""
    half = path(*segments)
    return np.concatenate([half, flipped(half)[::-1]])


def oval(centre: Point, width: float, height: float, *, turn: float = 0.0) -> Points:
    """Return an ellipse with these half axes, turned by ``turn`` radians."""
    angle = np.linspace(0.0, 2 * math.pi, 40, endpoint=False)
    x, y = width * np.cos(angle), height * np.sin(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    return np.stack([centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos], axis=1)


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """Return the corners of an upright rectangle, (4, 2)."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def closed(points: Points) -> Points:
    """Return a line that ends where it began."""
    return np.concatenate([points, points[:1]])


@dataclass(frozen=True, slots=True)
class _Piece:
    """A mask of a part and where it is on the big canvas; the box is aligned to the coarse grid."""

    mask: Image.Image
    box: tuple[int, int, int, int]

    @classmethod
    def around(cls, corners: list[Point], margin: int) -> _Piece:
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        left, top = (max(0, int(low - margin) // _COARSE * _COARSE) for low in (min(xs), min(ys)))
        right, bottom = (min(BIG, -(-int(high + margin) // _COARSE) * _COARSE) for high in (max(xs), max(ys)))
        box = (left, top, max(right, left + _COARSE), max(bottom, top + _COARSE))
        return cls(Image.new("L", (box[2] - left, box[3] - top), 0), box)

    def local(self, corners: list[Point]) -> list[Point]:
        return [(x - self.box[0], y - self.box[1]) for x, y in corners]

    def small_box(self) -> tuple[int, int, int, int]:
        left, top, right, bottom = self.box
        return (left // SUPER, top // SUPER, right // SUPER, bottom // SUPER)


class Canvas:
    """One picture in the making; parts drawn later are on top of earlier ones."""

    def __init__(self, pose: Pose) -> None:
        self._matrix = pose.matrix()
        self._inverse = self._matrix.T / (UNIT * SUPER * pose.scale) ** 2  # a turn, a mirror and a scale
        self._middle = BIG / 2 + self._matrix @ np.array(pose.shift)
        self._colour = Image.new("RGB", (BIG, BIG), BACKDROP)
        self._pen = ImageDraw.Draw(self._colour)
        self._shade = Image.new("L", (SIDE, SIDE), NEUTRAL)
        self._alpha = Image.new("L", (BIG, BIG), 0)
        self._last = _Piece(self._alpha, (0, 0, BIG, BIG))

    def part(
        self, outline: Points, fabric: Fabric, *, turn: float = 0.0, relief: float = 1.0, edge: bool = True
    ) -> None:
        """Lay a piece of fabric with this outline on top, with light on its relief and a shadow beneath it.

        Args:
            outline: Corners in object units, (N, 2).
            fabric: What it is made of.
            turn: Direction of the fabric's thread, in radians.
            relief: How rounded it looks; 0 is flat.
            edge: Whether its rim is drawn.
        """
        corners = self._placed(outline)
        piece = _Piece.around(corners, _HALO)
        ImageDraw.Draw(piece.mask).polygon(piece.local(corners), fill=255)
        self._lay(piece, fabric, turn=turn, relief=relief)
        if edge:
            self._pen.line([*corners, corners[0]], fill=contrast(fabric.base, 0.26), width=SUPER)

    def band(self, line: Points, width: float, fabric: Fabric, *, relief: float = 0.7, edge: bool = True) -> None:
        """Lay a strap of this width (object units) along a line, with round ends."""
        corners, thick = self._placed(line), self._length(width)
        piece = _Piece.around(corners, _HALO + thick)
        if edge:
            _thick_line(self._pen, corners, thick + SUPER, contrast(fabric.base, 0.26))
            _thick_line(ImageDraw.Draw(self._alpha), corners, thick + SUPER, 255)
        _thick_line(ImageDraw.Draw(piece.mask), piece.local(corners), thick, 255)
        self._lay(piece, fabric, turn=0.0, relief=relief)

    def inlay(self, outline: Points | Sequence[Point], fabric: Fabric, *, turn: float = 0.0) -> None:
        """Colour an area of the last part, and nothing beyond that part, without any relief."""
        last = self._last
        mask = Image.new("L", last.mask.size, 0)
        ImageDraw.Draw(mask).polygon(last.local(self._placed(outline)), fill=255)
        self._fill(_Piece(ImageChops.darker(mask, last.mask), last.box), fabric, turn)

    def line(self, points: Points | Sequence[Point], colour: Rgb, *, width: float = 0.012) -> None:
        """Draw a seam, lace or rim; its width is in object units."""
        _thick_line(self._pen, self._placed(points), self._length(width), colour)

    def stitches(self, points: Points | Sequence[Point], colour: Rgb, *, dash: int = 4) -> None:
        """Draw a dashed seam."""
        corners = self._placed(points)
        for start, end in pairwise(corners):
            count = max(1, int(math.dist(start, end) / (dash * SUPER)))
            ends = np.linspace(start, end, 2 * count + 1)
            for a, b in zip(ends[::2], ends[1::2], strict=False):
                self._pen.line([tuple(a), tuple(b)], fill=colour, width=SUPER)

    def dot(self, centre: Point, radius: float, colour: Rgb) -> None:
        """Draw a button, rivet or eyelet."""
        (x, y), r = self._placed([centre])[0], radius * UNIT * SUPER
        self._pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def blob(self, outline: Points | Sequence[Point], colour: Rgb) -> None:
        """Fill a small area on top, without relief: a print, a buckle, a label."""
        self._pen.polygon(self._placed(outline), fill=colour)

    def cut(self, outline: Points) -> None:
        """Let the backdrop show through this area."""
        self.blob(outline, BACKDROP)
        ImageDraw.Draw(self._alpha).polygon(self._placed(outline), fill=0)

    def folds(self, lines: Iterable[tuple[Sequence[Point], float]], *, width: float = 0.06, blur: float = 2.6) -> None:
        """Model the last part: each line with a strength, -1 (deep shadow) to 1 (bright light)."""
        small, box = self._last.mask.reduce(SUPER), self._last.small_box()
        relief = Image.new("L", small.size, NEUTRAL)
        pen, thick = ImageDraw.Draw(relief), max(1, self._length(width) // SUPER)
        for points, strength in lines:
            corners = self._last.local(self._placed(spline(points, steps=5)))
            line = [(x / SUPER, y / SUPER) for x, y in corners]
            pen.line(line, fill=int(NEUTRAL + 90 * strength), width=thick, joint="curve")
        relief = relief.filter(ImageFilter.GaussianBlur(blur))
        self._shade.paste(ImageChops.add(self._shade.crop(box), relief, offset=-NEUTRAL), box, small)

    def finish(self, *, standing: bool) -> bytes:
        """Return the picture as PNG; a standing object throws its shadow on the floor, a lying one around itself."""
        alpha = self._alpha.reduce(SUPER)
        ground = _floor_shadow(alpha) if standing else _wall_shadow(alpha)
        shade = np.asarray(Image.composite(self._shade, ground, alpha), dtype=np.uint16)
        pixels = np.asarray(self._colour.reduce(SUPER), dtype=np.uint16) * shade[..., None] >> 7
        buffer = io.BytesIO()
        even = np.minimum(pixels, 255).astype(np.uint8) & np.uint8(0xFE)  # not seen, and a tenth smaller as PNG
        Image.fromarray(even).save(buffer, format="PNG", compress_level=5)
        return buffer.getvalue()

    def _placed(self, points: Points | Sequence[Point]) -> list[Point]:
        placed = np.asarray(points, dtype=np.float64) @ self._matrix.T + self._middle
        return [(float(x), float(y)) for x, y in placed]

    def _length(self, units: float) -> int:
        return max(1, round(units * UNIT * SUPER))

    def _lay(self, piece: _Piece, fabric: Fabric, *, turn: float, relief: float) -> None:
        self._fill(piece, fabric, turn)
        self._alpha.paste(255, piece.box, piece.mask)
        self._last = piece
        small, box = piece.mask.reduce(SUPER), piece.small_box()
        soft = piece.mask.reduce(_COARSE).filter(ImageFilter.GaussianBlur(4.5))
        halo = ImageChops.offset(soft.resize(small.size, Image.Resampling.BILINEAR), 1, 3)
        shade = ImageChops.multiply(self._shade.crop(box), Image.fromarray(_DIMMER[np.asarray(halo)]))
        shade.paste(_lit(soft, relief, small.size), mask=small)
        self._shade.paste(shade, box)

    def _fill(self, piece: _Piece, fabric: Fabric, turn: float) -> None:
        if fabric.pattern == "plain":
            self._colour.paste(fabric.base, piece.box, piece.mask)
            return
        inner = piece.mask.getbbox()
        if inner is None:
            return
        left, top = piece.box[0], piece.box[1]
        columns = np.arange(inner[0], inner[2])[None, :] + (left - self._middle[0])
        rows = np.arange(inner[1], inner[3])[:, None] + (top - self._middle[1])
        x = self._inverse[0, 0] * columns + self._inverse[0, 1] * rows
        y = self._inverse[1, 0] * columns + self._inverse[1, 1] * rows
        cos, sin = math.cos(turn), math.sin(turn)
        cloth = Image.fromarray(weave(fabric, x * cos - y * sin, x * sin + y * cos))
        self._colour.paste(cloth, (left + inner[0], top + inner[1]), piece.mask.crop(inner))


def _thick_line(pen: ImageDraw.ImageDraw, corners: list[Point], width: int, fill: Rgb | int) -> None:
    pen.line(corners, fill=fill, width=width, joint="curve")
    if width > 2 * SUPER:
        for x, y in (corners[0], corners[-1]):
            r = width / 2
            pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)


def _lit(soft: Image.Image, relief: float, size: tuple[int, int]) -> Image.Image:
    """Light from the upper left on a blurred mask: bright where it rises, dark towards the far rim."""
    height = np.asarray(soft, dtype=np.float32) / 255.0
    slope = np.roll(height, (-2, -2), (0, 1)) - np.roll(height, (2, 2), (0, 1))
    light = 1.02 + relief * (0.30 * slope - 0.30 * (1.0 - height))
    return Image.fromarray((light * NEUTRAL).clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)


def _wall_shadow(alpha: Image.Image) -> Image.Image:
    soft = Image.new("L", alpha.size, 0)
    soft.paste(alpha.filter(ImageFilter.GaussianBlur(4)), (2, 4))
    return Image.fromarray((NEUTRAL - np.asarray(soft, dtype=np.uint16) * 22 // 255).astype(np.uint8))


def _floor_shadow(alpha: Image.Image) -> Image.Image:
    left, _, right, bottom = alpha.getbbox() or (0, 0, SIDE, SIDE)
    ground = Image.new("L", alpha.size, NEUTRAL)
    pen = ImageDraw.Draw(ground)
    pen.ellipse((left - 2, bottom - 8, right + 2, bottom + 6), fill=NEUTRAL - 26)
    pen.ellipse((left + 8, bottom - 4, right - 8, bottom + 3), fill=NEUTRAL - 62)
    return ground.filter(ImageFilter.GaussianBlur(3.2))
