"""How products are to get their splits; without NumPy, so that the command line is there at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """How products get their splits where their source gives them none.

    Attributes:
        validation_share: Fraction of each class of train that becomes validation, unless the source has one.
        test_share: Fraction of each class of what has no split yet that becomes test.
        seed: Seed of both draws.
        unseen: Labels that are kept out of training and validation: their products go to gallery-only, and stay in
            test where they were, so that a model can be judged on classes it never saw.
        redraw: Whether products that the catalogue holds already are redrawn; otherwise they keep their split.
    """

    validation_share: float = 0.1
    test_share: float = 0.2
    seed: int = 7
    unseen: tuple[str, ...] = ()
    redraw: bool = False

    def as_note(self) -> dict[str, Any]:
        """Return the plan as a commit's note says it."""
        return {**asdict(self), "unseen": list(self.unseen)}
