"""What a training will take of memory, disk and time, from a small table of measured costs; no TensorFlow here.

The table was measured with whole training steps on two processor cores, with small pictures (28 to 96 pixels a side);
between sizes, costs are taken to grow with the number of pixels. On other machines the truth may be half or twice it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.training.config import Backbone, TrainConfig

MEASURED_CORES = 2
FLOAT_BYTES = 4
COPIES = 4  # of every weight: itself, its gradient and Adam's two moments
PROCESS_BYTES = 600_000_000  # TensorFlow before it does anything
START_S = 12.0  # of TensorFlow and the first, traced step
VALIDATION_ROWS = 12_000  # most pictures that are embedded after an epoch
ANSWER_SHARE = 0.25  # what embedding a picture costs beside training on it
DECODE_S = 5e-5  # a small picture
DECODE_PHOTO_S = 8e-3


@dataclass(frozen=True, slots=True)
class Cost:
    """What a backbone costs.

    Attributes:
        step_s: Seconds to train on one pixel of one picture, on ``MEASURED_CORES`` cores.
        step_bytes: Bytes that a training step holds for one pixel of one picture.
        weights: Weights below the embedding.
        features: Numbers that the embedding is made of; 0 where the size of the picture decides.
    """

    step_s: float
    step_bytes: int
    weights: int
    features: int


COSTS: dict[Backbone, Cost] = {
    "seed-cnn": Cost(1.0e-7, 550, 320, 0),
    "seed-cnn-as-published": Cost(1.0e-7, 550, 320, 0),
    "resnet": Cost(5.0e-7, 1_050, 308_000, 128),
    "mobilenet-v2": Cost(6.0e-7, 1_700, 2_258_000, 1_280),
    "efficientnet-v2-b0": Cost(7.0e-7, 1_800, 5_919_000, 1_280),
    "efficientnet-lite0": Cost(2.5e-7, 500, 3_413_000, 1_280),
    "efficientnet-lite1": Cost(3.2e-7, 500, 4_189_000, 1_280),
    "efficientnet-lite2": Cost(4.0e-7, 500, 4_869_000, 1_280),
    "resnet50": Cost(3.0e-6, 1_800, 23_588_000, 2_048),
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training will take, roughly.

    Attributes:
        steps: Batches in an epoch.
        memory_bytes: Most memory of one process at a time.
        disk_bytes: Decoded pixels on disk while it runs.
        seconds: Time on processors; None where a GPU does the work, for which nothing was measured.
    """

    steps: int
    memory_bytes: int
    disk_bytes: int
    seconds: float | None


def estimate(config: TrainConfig, *, train: int, validation: int, cores: int, gpus: int = 0) -> Estimate:
    """Estimate a training on ``train`` and ``validation`` pictures, with all epochs, by one process.

    Args:
        config: A resolved configuration.
        train: Pictures that are trained on.
        validation: Pictures of the validation split.
        cores: Processor cores that it may use.
        gpus: GPUs that it may use.
    """
    steps = config.steps_per_epoch or max(1, train // config.batch_size)
    pixels, cost = config.height * config.width, COSTS[config.backbone]
    picture_bytes = pixels * (config.channels * (1 + FLOAT_BYTES) + cost.step_bytes)
    memory = PROCESS_BYTES + COPIES * FLOAT_BYTES * weights(config) + config.batch_size * picture_bytes
    disk = (train + validation) * pixels * config.channels
    seconds = None if gpus else _seconds(config, steps, train, validation, cores)
    return Estimate(steps, memory, disk, seconds)


def weights(config: TrainConfig) -> int:
    """Return about how many weights the network has."""
    cost = COSTS[config.backbone]
    features = cost.features or 32 * ((config.height - 2) // 2) * ((config.width - 2) // 2)
    return cost.weights + (features + 1) * config.embedding_size


def _seconds(config: TrainConfig, steps: int, train: int, validation: int, cores: int) -> float:
    faster = math.sqrt(max(cores, 1) / MEASURED_CORES) if cores > MEASURED_CORES else max(cores, 1) / MEASURED_CORES
    picture = COSTS[config.backbone].step_s * config.height * config.width / faster
    if config.learns_from_features:  # each picture is looked at once, and epochs take next to nothing
        return START_S + (train + validation) * (picture * ANSWER_SHARE + DECODE_PHOTO_S)
    scored = min(train + validation, VALIDATION_ROWS) * ANSWER_SHARE
    return START_S + config.epochs * picture * (steps * config.batch_size + scored) + (train + validation) * DECODE_S
