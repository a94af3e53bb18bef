"""ImageNet weights for the networks that have some: found in Keras's cache, downloaded, or refused with a sentence."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backend.errors import ConfigurationError
from backend.files.locking import locked
from backend.files.scratch import common_folder
from backend.training.network.applications import make_application
from backend.training.network.lite import LITE
from backend.training.network.lite_weights import lite_weights, load_lite_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.training.config import TrainConfig

logger = logging.getLogger(__name__)
SIDE = 96  # of the network that the weights are read into; they are the same for every size


def load_pretrained(model: Any, config: TrainConfig) -> None:
    """Fill the backbone of a freshly built network with ImageNet weights, if the configuration asks for them.

    Raises:
        ConfigurationError: They are neither on this machine nor to be had; nothing is trained from a random start instead.
    """
    if config.pretrained == "none":
        return
    if config.backbone in LITE:
        load_lite_weights(model, config.backbone)
        return
    donor = _donor(config.backbone)
    for layer in donor.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    logger.info("the network starts from the ImageNet weights of %s", config.backbone)


def check_pretrained(config: TrainConfig) -> None:
    """Have the weights that a configuration asks for on this machine, before anything else takes time.

    Raises:
        ConfigurationError: As :func:`load_pretrained`.
    """
    if config.backbone in LITE:
        lite_weights(config.backbone)
    elif config.pretrained != "none":
        _donor(config.backbone)


def _donor(backbone: str) -> Any:
    try:
        with _alone():
            return make_application(backbone, weights="imagenet", input_shape=(SIDE, SIDE, 3))
    except Exception as error:  # Keras raises a bare Exception for a failed download
        raise ConfigurationError(
            f"The ImageNet weights of {backbone} are not on this machine and could not be downloaded.",
            next_step="Connect this machine to the internet for the first training, copy the folder ~/.keras/models "
            "from a machine that has them, or set pretrained to none.",
        ) from error


@contextmanager
def _alone() -> Iterator[None]:
    """One process of this machine at a time: Keras writes a download straight to the file that others would read."""
    with locked(common_folder() / "twinset-imagenet.lock"):
        yield
