"""How good the pictures of a catalogue are, product by product: measures, flags, histograms, filters; no JVM.

Whether a picture is dark or bright must not depend on its ground: products on white are bright pictures and products on
black dark ones, and both are as they should be. So the two are judged by parts, which brightness and contrast tell:

    light parts = mean of grey, every pixel weighted with its grey        = brightness + contrast² / brightness
    dark parts  = mean of grey, every pixel weighted with its darkness    = brightness - contrast² / (1 - brightness)

Of a shape in one grey on black, the light parts have the grey of the shape however small it is; of one on white, the
dark parts have. A picture is dark where even its light parts are, and bright where even its dark parts are light.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
import pyarrow.compute as pc

from backend.catalogue.delta import delta_log
from backend.catalogue.items import QUALITY
from backend.catalogue.schemas import QUALITY_SCHEMA
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

Measure = Literal["brightness", "contrast", "sharpness", "entropy", "aspect", "megapixels"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
Flag = Literal["blurred", "dark", "bright", "low_information", "odd_aspect", "odd_size"]
FLAGS: tuple[Flag, ...] = get_args(Flag)

# Bits of 256 in which the perceptual hashes of near duplicates differ at most. Of 333 photos of clothes, all that were
# saved anew as JPEG of quality 70 are found, 99 % of those resized to 60 % or brightened by 20 %, 95 % of those cropped
# by 2 % and 55 % of those cropped by 3 %; of the 499,500 pairs of different photos none is nearer than 60. Pictures of
# 28 pixels tell less: of 1.8 thousand million pairs of Fashion-MNIST 696 are as near, many of them twins.
NEAR_DISTANCE = 28

_TINY = 1e-9
_STORED = ("brightness", "contrast", "sharpness", "entropy")
_COLUMNS = ("product_id", "image_sha256", "label", "split", "width", "height")


class Products(Protocol):
    """A catalogue at one version, as :class:`backend.catalogue.snapshot.Snapshot` is."""

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Return columns of all products, ordered by product_id."""


@dataclass(frozen=True, slots=True)
class QualityRules:
    """From where on a picture is flagged.

    None of the defaults flags more than 1.3 % of 1,000 photos of clothes, or of Fashion-MNIST.

    Attributes:
        blurred_below: Blurred: sharpness below this,
        blurred_share: or below this share of the catalogue's median, for catalogues of small pictures, where every
            edge is a jump;
        soft_below: and in both cases sharpness below this multiple of contrast², which a dark picture is not.
        dark_below: Dark: the light parts below this grey, in [0, 1].
        bright_above: Bright: the dark parts above this grey, in [0, 1].
        entropy_below: Low information: entropy below this many bits,
        contrast_below: or contrast below this: one grey, and noise.
        aspect_above: Odd aspect: longer by shorter side above this.
        side_below: Odd size: shorter side below this many pixels,
        size_factor: or this many times more or fewer pixels than the catalogue's median.
    """

    blurred_below: float = 0.0035
    blurred_share: float = 0.1
    soft_below: float = 0.15
    dark_below: float = 0.3
    bright_above: float = 0.85
    entropy_below: float = 1.5
    contrast_below: float = 0.02
    aspect_above: float = 2.5
    side_below: int = 24
    size_factor: float = 16.0


def open_quality(products: Products, folder: Path, rules: QualityRules | None = None) -> QualityTable:
    """Return the quality of a catalogue's products, from what is measured by now.

    Args:
        products: The catalogue at a version.
        folder: The catalogue's folder, with the table ``quality``; without one, no picture is measured.
        rules: What is flagged.

    Raises:
        CatalogueError: The table is damaged.
    """
    path = folder / QUALITY
    quality = QUALITY_SCHEMA.empty_table()
    if delta_log.newest_version(path) is not None:
        quality = delta_log.rows_of(delta_log.open_table(path), QUALITY_SCHEMA).table(QUALITY_SCHEMA.names)
    return QualityTable(products.columns(list(_COLUMNS)), quality, rules or QualityRules())


@dataclass(frozen=True)
class QualityTable:
    """Measures and flags of N products, in the order of product_id; build it with :func:`open_quality`.

    Attributes:
        products: product_id, image_sha256, label, split, width and height.
        quality: Rows of the table ``quality``, in any order.
        rules: What is flagged.
    """

    products: pa.Table
    quality: pa.Table = field(repr=False)
    rules: QualityRules = field(default_factory=QualityRules)

    def __len__(self) -> int:
        return int(self.products.num_rows)

    @cached_property
    def product_ids(self) -> NDArray[np.object_]:
        """Ids; shape (N,)."""
        return np.asarray(self.products["product_id"].to_numpy())

    @cached_property
    def is_measured(self) -> NDArray[np.bool_]:
        """Whether each product's picture is measured; shape (N,)."""
        return np.asarray(pc.is_valid(self._places), dtype=np.bool_)

    @property
    def measured(self) -> int:
        """Products whose picture is measured."""
        return int(self.is_measured.sum())

    @property
    def missing(self) -> int:
        """Products whose picture is not measured yet, or cannot be."""
        return len(self) - self.measured

    def values(self, measure: Measure) -> NDArray[np.float64]:
        """Return one measure of every product, NaN where it is not measured; shape (N,).

        Aspect is the longer by the shorter side. Aspect and megapixels are known of every product.

        Raises:
            CatalogueError: There is no such measure.
        """
        if measure not in MEASURES:
            raise CatalogueError(f"There is no measure {measure!r}.", next_step=f"Measures are {', '.join(MEASURES)}.")
        return self._values[measure]

    def flags(self) -> dict[Flag, NDArray[np.bool_]]:
        """Return for every flag which products have it; shape (N,) each. What is not measured is not flagged."""
        return dict(self._flags)

    def flag_counts(self) -> dict[str, int]:
        """Count the products with every flag."""
        return {name: int(found.sum()) for name, found in self._flags.items()}

    def histogram(self, measure: Measure, bins: int = 30) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Count the products in ``bins`` equally wide steps of a measure, from the least value to the greatest.

        Returns:
            Edges (bins + 1,) and counts (bins,); where nothing is measured, counts of zero between 0 and 1.

        Raises:
            CatalogueError: There is no such measure.
        """
        values = self.values(measure)
        known = values[~np.isnan(values)]
        counts, edges = np.histogram(known, bins=bins)
        return edges, counts.astype(np.int64)

    def matching(
        self, ranges: Mapping[Measure, tuple[float, float]] | None = None, flags: Collection[Flag] = ()
    ) -> NDArray[np.bool_]:
        """Tell which products are in every one of the ranges and have one of the flags, if any are given; shape (N,).

        Both ends of a range belong to it; a product that is not measured is in none.

        Raises:
            CatalogueError: There is no such measure or flag.
        """
        matches = np.ones(len(self), dtype=np.bool_)
        for measure, (low, high) in (ranges or {}).items():
            values = self.values(measure)
            matches &= (values >= low) & (values <= high)  # false for NaN
        if flags:
            matches &= np.any([self._flagged(flag) for flag in flags], axis=0)
        return matches

    def select(
        self, ranges: Mapping[Measure, tuple[float, float]] | None = None, flags: Collection[Flag] = ()
    ) -> tuple[str, ...]:
        """Return the ids of the products that :meth:`matching` finds, ordered, as ``Snapshot.page(only=…)`` takes."""
        return tuple(self.product_ids[self.matching(ranges, flags)])

    # ------------------------------------------------------------------------------------------- inside

    @cached_property
    def _places(self) -> pa.Array:
        """Row of ``quality`` for every product; null where there is none."""
        found = pc.index_in(self.products["image_sha256"], value_set=self.quality["image_sha256"].combine_chunks())
        return found.combine_chunks()

    @cached_property
    def _values(self) -> dict[Measure, NDArray[np.float64]]:
        rows = self.quality.select(list(_STORED)).take(self._places)
        width, height = (self.products[name].to_numpy().astype(np.float64) for name in ("width", "height"))
        stored = (rows[name].to_numpy().astype(np.float64) for name in _STORED)  # null becomes NaN
        sides = (np.maximum(width, height) / np.minimum(width, height), width * height / 1e6)
        return dict(zip(MEASURES, (*stored, *sides), strict=True))

    @cached_property
    def _flags(self) -> dict[Flag, NDArray[np.bool_]]:
        rules, values = self.rules, self._values
        brightness, contrast, sharpness = values["brightness"], values["contrast"], values["sharpness"]
        variance = np.minimum(contrast**2, brightness * (1 - brightness))  # no more is possible, but for rounding
        light = brightness + variance / np.maximum(brightness, _TINY)
        dark = brightness - variance / np.maximum(1 - brightness, _TINY)
        size = values["megapixels"]
        ratio = size / (np.median(size) if len(size) else 1.0)
        short = np.minimum(*(self.products[name].to_numpy() for name in ("width", "height")))
        found = (
            (sharpness < self._blurred_below) & (sharpness < rules.soft_below * variance),
            light < rules.dark_below,
            dark > rules.bright_above,
            (values["entropy"] < rules.entropy_below) | (contrast < rules.contrast_below),
            values["aspect"] > rules.aspect_above,
            (short < rules.side_below) | (ratio > rules.size_factor) | (ratio < 1 / rules.size_factor),
        )
        return dict(zip(FLAGS, found, strict=True))

    @property
    def _blurred_below(self) -> float:
        sharpness = self._values["sharpness"][self.is_measured]
        usual = float(np.median(sharpness)) if len(sharpness) else 0.0
        return max(self.rules.blurred_below, self.rules.blurred_share * usual)

    def _flagged(self, flag: Flag) -> NDArray[np.bool_]:
        if flag not in FLAGS:
            raise CatalogueError(f"There is no flag {flag!r}.", next_step=f"Flags are {', '.join(FLAGS)}.")
        return self._flags[flag]
