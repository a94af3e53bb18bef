"""The learning rate of every step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.training.config import TrainConfig

WARM_UP_SHARE = 0.2
FLOOR = 1e-6


def learning_rate(config: TrainConfig, step: int, total: int) -> float:
    """Return the rate of step ``step`` (from 0) of ``total``.

    ``one-cycle`` rises linearly over the first fifth and falls to nothing along half a cosine.
    """
    if config.schedule == "constant":
        return config.learning_rate
    done = (step + 1) / total
    if done < WARM_UP_SHARE:
        return max(FLOOR, config.learning_rate * done / WARM_UP_SHARE)
    falling = (done - WARM_UP_SHARE) / (1.0 - WARM_UP_SHARE)
    return max(FLOOR, config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * falling)))
