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

    ``cosine`` falls to nothing along half a cosine; ``one-cycle`` rises linearly over the first fifth before it does.
    """
    if config.schedule == "constant":
        return config.learning_rate
    done = (step + 1) / total
    rising = WARM_UP_SHARE if config.schedule == "one-cycle" else 0.0
    if done < rising:
        return max(FLOOR, config.learning_rate * done / rising)
    falling = (done - rising) / (1.0 - rising)
    return max(FLOOR, config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * falling)))
