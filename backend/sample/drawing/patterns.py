"""Fabrics of the sample catalogue: patterns as functions of the thread coordinates, and the tones they use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

Rgb: TypeAlias = tuple[int, int, int]
Grid: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.uint8]

# What the codes of a pattern mean, in the order of the colour table.
BASE, SECOND, MIX, THIRD, DARK, LIGHT = range(6)


@dataclass(frozen=True, slots=True)
class Fabric:
    """A pattern in up to three colours; ``scale`` stretches it, ``phase`` moves it."""

    pattern: str
    base: Rgb
    second: Rgb = (255, 255, 255)
    third: Rgb = (40, 40, 40)
    scale: float = 1.0
    phase: float = 0.0

    def plain(self, colour: Rgb | None = None) -> Fabric:
        """Return the fabric without its pattern, in this colour or its base."""
        return replace(self, pattern="plain", base=colour or self.base)


def tone(colour: Rgb, factor: float) -> Rgb:
    """Return the colour darker (factor below 1) or nearer to white (above 1)."""
    if factor <= 1:
        return (int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor))
    return mix(colour, (255, 255, 255), factor - 1)


def mix(first: Rgb, second: Rgb, share: float = 0.5) -> Rgb:
    """Return a blend with this share of the second colour."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return (red, green, blue)


def brightness(colour: Rgb) -> float:
    """Return how light a colour looks, 0 to 255."""
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def contrast(colour: Rgb, strength: float = 0.3) -> Rgb:
    """Return a tone for seams and rims that shows on this colour: darker, or lighter where it is nearly black."""
    return tone(colour, 1 + 0.6 * strength) if brightness(colour) < 52 else tone(colour, 1 - strength)


def weave(fabric: Fabric, u: Grid, v: Grid) -> NDArray[np.uint8]:
    """Return the colours of the fabric at thread coordinates u, v (H, W), as uint8 (H, W, 3)."""
    lighter = tone(fabric.base, 1.12) if brightness(fabric.base) < 200 else tone(fabric.base, 0.97)
    darker = tone(fabric.base, 0.88) if brightness(fabric.base) > 52 else tone(fabric.base, 1.07)
    table = np.array(
        [fabric.base, fabric.second, mix(fabric.base, fabric.second), fabric.third, darker, lighter], dtype=np.uint8
    )
    codes = PATTERNS[fabric.pattern](u / fabric.scale + fabric.phase, v / fabric.scale + fabric.phase)
    return np.asarray(table[codes], dtype=np.uint8)


def _part(values: Grid, period: float) -> Grid:
    return np.asarray(np.mod(values / period, 1.0), dtype=np.float64)


def _where(mask: NDArray[np.bool_], code: int, other: int = BASE) -> Codes:
    return np.where(mask, np.uint8(code), np.uint8(other))


def _wave(values: Grid, period: float) -> Grid:
    """A zigzag between 0 and 1."""
    wave: Grid = np.abs(2.0 * _part(values, period) - 1.0)
    return wave


def _plain(u: Grid, v: Grid) -> Codes:
    return np.zeros(np.broadcast(u, v).shape, dtype=np.uint8)


def _striped(_u: Grid, v: Grid) -> Codes:
    return _where(_part(v, 0.2) < 0.5, SECOND)


def _breton(_u: Grid, v: Grid) -> Codes:
    return _where(_part(v, 0.115) < 0.36, SECOND)


def _retro(_u: Grid, v: Grid) -> Codes:
    band = _part(v, 0.62)
    return np.select([band < 0.16, band < 0.22, band < 0.38], [np.uint8(SECOND), np.uint8(BASE), np.uint8(THIRD)], BASE)


def _pinstripe(u: Grid, _v: Grid) -> Codes:
    return _where(_part(u, 0.085) < 0.17, SECOND)


def _candy(u: Grid, _v: Grid) -> Codes:
    return _where(_part(u, 0.12) < 0.45, SECOND)


def _gingham(u: Grid, v: Grid) -> Codes:
    across, along = _part(u, 0.17) < 0.5, _part(v, 0.17) < 0.5
    return np.select([across & along, across ^ along], [np.uint8(BASE), np.uint8(MIX)], SECOND)


def _tartan(u: Grid, v: Grid) -> Codes:
    across, along = _part(u, 0.34), _part(v, 0.34)
    thin = (np.abs(across - 0.75) < 0.04) | (np.abs(along - 0.75) < 0.04)
    wide = (across < 0.42).astype(np.uint8) + (along < 0.42)
    return np.select([thin, wide == 2, wide == 1], [np.uint8(THIRD), np.uint8(SECOND), np.uint8(MIX)], BASE)


def _windowpane(u: Grid, v: Grid) -> Codes:
    return _where((_part(u, 0.24) < 0.08) | (_part(v, 0.24) < 0.08), SECOND)


def _dots(u: Grid, v: Grid) -> Codes:
    row = np.floor(v / 0.13)
    across, along = _part(u + 0.075 * np.mod(row, 2), 0.15) - 0.5, _part(v, 0.13) - 0.5
    return _where((across * 0.15) ** 2 + (along * 0.13) ** 2 < 0.034**2, SECOND)


def _chevron(u: Grid, v: Grid) -> Codes:
    band = _part(v + 0.1 * _wave(u, 0.26), 0.2)
    return np.select([band < 0.36, band > 0.84], [np.uint8(SECOND), np.uint8(THIRD)], BASE)


def _herringbone(u: Grid, v: Grid) -> Codes:
    return _where(_part(v + 0.07 * _wave(u, 0.14), 0.05) < 0.45, DARK)


def _block(_u: Grid, v: Grid) -> Codes:
    return np.select([v < -0.22, v < 0.2], [np.uint8(BASE), np.uint8(SECOND)], THIRD)


def _floral(u: Grid, v: Grid) -> Codes:
    """Five-petalled flowers with a heart, and buds between them, on a grid that is shaken cell by cell."""
    size = 0.27
    row = np.floor(v / size)
    column = np.floor((u + 0.5 * size * np.mod(row, 2)) / size)
    shake = np.mod(np.sin(column * 12.9898 + row * 78.233) * 43758.5453, 1.0)
    x = _part(u + 0.5 * size * np.mod(row, 2), size) - 0.5 + 0.16 * (shake - 0.5)
    y = _part(v, size) - 0.5 - 0.16 * (np.mod(shake * 7.0, 1.0) - 0.5)
    radius, angle = np.hypot(x, y), np.arctan2(y, x) + 6.0 * shake
    petal = radius < (0.2 + 0.1 * shake) * (0.62 + 0.38 * np.abs(np.cos(2.5 * angle)))
    bud = np.hypot(_part(u + 0.5 * size * np.mod(row, 2) + 0.5 * size, size) - 0.5, _part(v + 0.42 * size, size) - 0.5)
    return np.select(
        [radius < 0.075, petal, bud < 0.075], [np.uint8(THIRD), np.uint8(SECOND), np.uint8(THIRD)], np.uint8(BASE)
    )


def _camouflage(u: Grid, v: Grid) -> Codes:
    first = np.sin(7 * u + 2.0 * np.sin(5 * v)) + np.sin(8 * v + 2.2 * np.sin(6 * u + 1))
    second = np.sin(9 * u - 2.0 * np.sin(6 * v + 2)) + np.sin(7 * v - 1.7 * np.sin(7 * u))
    return np.select([first > 0.75, second > 0.8, first < -1.0], [np.uint8(MIX), np.uint8(DARK), np.uint8(LIGHT)], BASE)


def _leopard(u: Grid, v: Grid) -> Codes:
    field = np.sin(26 * u + 2.1 * np.sin(17 * v)) * np.sin(24 * v + 2.3 * np.sin(19 * u + 0.7))
    return np.select([field > 0.66, field > 0.3], [np.uint8(MIX), np.uint8(SECOND)], BASE)


def _denim(u: Grid, v: Grid) -> Codes:
    twill = _part(u + v, 0.036)
    return np.select([twill < 0.35, twill > 0.8], [np.uint8(DARK), np.uint8(LIGHT)], BASE)


def _ribbed(u: Grid, _v: Grid) -> Codes:
    return _where(_part(u, 0.06) < 0.34, DARK)


def _cable(u: Grid, v: Grid) -> Codes:
    column = _part(u, 0.3)
    rope = np.abs(column - 0.5 - 0.1 * np.sin(v * 32)) < 0.05
    other = np.abs(column - 0.5 + 0.1 * np.sin(v * 32)) < 0.05
    rib = np.abs(column - 0.5) > 0.44
    return np.select([rope | other, rib], [np.uint8(DARK), np.uint8(DARK)], BASE)


def _fair_isle(u: Grid, v: Grid) -> Codes:
    band = _part(v, 0.5)
    diamonds = np.abs(band - 0.25) * 0.5 + 0.1 * _wave(u, 0.17) < 0.085
    teeth = (np.abs(band - 0.56) < 0.05) & (_part(u, 0.085) < 0.5)
    rails = np.abs(np.abs(band - 0.25) - 0.22) < 0.022
    crosses = (np.abs(band - 0.78) < 0.07) & (_wave(u, 0.13) < 0.4)
    return np.select([diamonds | rails, crosses, teeth], [np.uint8(SECOND), np.uint8(THIRD), np.uint8(SECOND)], BASE)


def _quilted(u: Grid, v: Grid) -> Codes:
    return _where((_part(u + v, 0.17) < 0.09) | (_part(u - v, 0.17) < 0.09), DARK)


def _channels(_u: Grid, v: Grid) -> Codes:
    """The seams of a down jacket's sleeves."""
    return _where(_part(v, 0.125) < 0.11, DARK)


def _woven(u: Grid, v: Grid) -> Codes:
    """Straw or basket."""
    return _where((_part(u, 0.09) < 0.5) ^ (_part(v, 0.06) < 0.5), DARK)


PATTERNS: dict[str, Callable[[Grid, Grid], Codes]] = {
    "plain": _plain,
    "striped": _striped,
    "breton": _breton,
    "retro": _retro,
    "pinstripe": _pinstripe,
    "candy": _candy,
    "gingham": _gingham,
    "tartan": _tartan,
    "windowpane": _windowpane,
    "dots": _dots,
    "chevron": _chevron,
    "herringbone": _herringbone,
    "block": _block,
    "floral": _floral,
    "camouflage": _camouflage,
    "leopard": _leopard,
    "denim": _denim,
    "ribbed": _ribbed,
    "cable": _cable,
    "fair_isle": _fair_isle,
    "quilted": _quilted,
    "channels": _channels,
    "woven": _woven,
}
