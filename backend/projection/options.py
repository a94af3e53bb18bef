"""How a map is drawn, as data, and what of it is possible."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from backend.errors import ProjectionError

USUAL_NEIGHBOURS = 15
Engine = Literal["twinset", "umap-learn"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
# What each field may be, both ends included.
RANGES: dict[str, tuple[float, float]] = {
    "neighbours": (2, 100),
    "min_distance": (0.0, 0.99),
    "seed": (0, 2**31 - 1),
}


@dataclass(frozen=True, slots=True)
class ProjectionOptions:
    """How a map is drawn.

    Attributes:
        neighbours: Products that each product is held together with, itself included; few show detail, many the whole.
        min_distance: How close products may come on the map; 0 packs them, 0.99 spreads them.
        supervised: Whether labels pull products of a kind together: tidier, but it shows what was told, not only seen.
        seed: Another seed, another arrangement of the same.
        engine: What draws it: Twinset's own arrangement of UMAP, or umap-learn.
    """

    neighbours: int = USUAL_NEIGHBOURS
    min_distance: float = 0.1
    supervised: bool = False
    seed: int = 7
    engine: Engine = ENGINES[0]

    def check(self) -> None:
        """Check the ranges.

        Raises:
            ProjectionError: A field is out of range, or there is no such engine.
        """
        if self.engine not in ENGINES:
            raise ProjectionError(
                f"There is no map engine {str(self.engine)[:60]!r}.", next_step=f"Use {' or '.join(ENGINES)}."
            )
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ProjectionError(
                    f"{name.replace('_', ' ').capitalize()} must be {low:g} to {high:g}, got {value:g}.",
                    next_step="Correct it and draw the map again.",
                )

    def fitted(self, size: int) -> ProjectionOptions:
        """Return the options for a gallery of this size, which may have fewer products than neighbours are wished.

        Raises:
            ProjectionError: It has too few products for any map.
        """
        if size <= RANGES["neighbours"][0]:
            raise ProjectionError(
                f"The gallery has {size:,} products, too few for a map.",
                next_step="Load more products, and build the index again.",
            )
        return replace(self, neighbours=min(self.neighbours, size - 1))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    def named(self) -> dict[str, Any]:
        """Return what names a map: all fields, but for the engine where it is the one that drew all maps at first."""
        parts = asdict(self)
        if self.engine == ENGINES[0]:
            del parts["engine"]
        return parts
