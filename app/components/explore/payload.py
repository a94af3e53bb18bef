"""Pure: what the browser needs to draw a map, as columns of small integers; some nine bytes a product on the wire."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from app.components.shared import charts
from backend.catalogue.items import SPLITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.projection.columns import Column

STEPS = 65_535  # what a coordinate is cut into: finer than a pixel up to fifty times enlarged
UNKNOWN = STEPS
PLACED = 8  # added to the number of the split
OTHERS = "Others"
# Okabe and Ito's colours and Tol's muted and light ones: apart also for eyes that do not see red or green.
LIGHT = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#A89A00", "#3A3A3A"),
    *("#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255"),
    *("#AA4499", "#6699CC", "#77AADD", "#EE8866", "#BBCC33", "#AAAA00", "#FFAABB"),
)
_ON_DARK = {
    "#0072B2": "#3DA5E8",
    "#3A3A3A": "#D8D8D8",
    "#332288": "#8F83EC",
    "#117733": "#3FB36B",
    "#882255": "#D0608F",
    "#A89A00": "#F0E442",
    "#AA4499": "#CF73BF",
}
DARK = tuple(_ON_DARK.get(colour, colour) for colour in LIGHT)
GREY = "#9A968E"
# Cividis, and the same from a lighter blue on for dark grounds.
LIGHT_SCALE = [[0.0, "#00224E"], [0.25, "#434E6C"], [0.5, "#7D7C78"], [0.75, "#BBAE6E"], [1.0, "#FEE838"]]
DARK_SCALE = [[0.0, "#5B8FD6"], [0.25, "#8A9BB0"], [0.5, "#A9A794"], [0.75, "#D3C46C"], [1.0, "#FEE838"]]


@dataclass(frozen=True, slots=True)
class Payload:
    """What a map is drawn from.

    Attributes:
        version: Another one whenever something else is drawn.
        table: x and y, z in space: uint16; code: uint8 for texts, uint16 for numbers; mark: uint8.
        low, high: What the first and the last step of every coordinate stand for.
        column: Title, names and colours of what the points are coloured by.
    """

    version: str
    table: pa.Table
    low: tuple[float, ...]
    high: tuple[float, ...]
    column: dict[str, Any]


def payload(
    name: str, positions: NDArray[np.float32], splits: NDArray[np.uint8], is_placed: NDArray[np.bool_], column: Column
) -> Payload:
    """Pack N products.

    Args:
        name: Of what is drawn.
        positions: Where they stand; float32 (N, 2) or (N, 3).
        splits: By number in ``SPLITS``; (N,).
        is_placed: Those that came after the map was drawn; (N,).
        column: What they are coloured by.
    """
    low, high = positions.min(axis=0), positions.max(axis=0)
    span = np.maximum(high - low, 1e-6).astype(np.float32)
    steps = np.rint((positions - low) * (np.float32(STEPS) / span)).astype(np.uint16)
    codes, told = _codes(column)
    columns = {axis: steps[:, at].copy() for at, axis in enumerate("xyz"[: positions.shape[1]])}
    columns |= {"code": codes, "mark": splits + np.where(is_placed, PLACED, 0).astype(np.uint8)}
    text = f"{name} {positions.shape} {column.title} {int(is_placed.sum())}"
    return Payload(
        hashlib.sha256(text.encode()).hexdigest()[:16],
        pa.table(columns),
        tuple(low.tolist()),
        tuple((low + span).tolist()),
        told,
    )


def split_titles() -> list[str]:
    """Return what splits are called, by number."""
    return [charts.SPLIT_TITLES[split] for split in SPLITS]


def _codes(column: Column) -> tuple[NDArray[Any], dict[str, Any]]:
    if column.numbers is not None:
        return _number_codes(column.title, column.numbers)
    assert column.codes is not None  # noqa: S101 - a column is texts or numbers
    names, light, dark = list(charts.escaped(column.names)), list(LIGHT), list(DARK)
    codes = column.codes
    if len(names) > len(LIGHT):
        codes = np.minimum(codes, len(LIGHT))
        names = [*names[: len(LIGHT)], OTHERS]
    shades = [[*colours, GREY][: len(names)] for colours in (light, dark)]
    if names and names[-1] in {"None", "Not measured"}:
        shades = [[*colours[:-1], GREY] for colours in shades]
    told = {"title": column.title, "kind": "texts", "names": names, "light": shades[0], "dark": shades[1]}
    return codes.astype(np.uint8), told


def _number_codes(title: str, numbers: NDArray[np.float32]) -> tuple[NDArray[np.uint16], dict[str, Any]]:
    """Cut numbers into steps between their 1st and 99th percentile, so that a few extremes do not take all colours."""
    known = numbers[np.isfinite(numbers)]
    low, high = (float(value) for value in np.percentile(known, [1, 99])) if len(known) else (0.0, 1.0)
    high = max(high, low + 1e-9)
    share = (np.nan_to_num(numbers, nan=low).clip(low, high) - low) / (high - low)
    steps = np.where(np.isfinite(numbers), np.rint(share * (UNKNOWN - 1)), UNKNOWN).astype(np.uint16)
    return steps, {
        "title": title,
        "kind": "numbers",
        "low": low,
        "high": high,
        "light": LIGHT_SCALE,
        "dark": DARK_SCALE,
    }
