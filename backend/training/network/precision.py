"""Whether a GPU can compute in bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend.training.config import TrainConfig

CAPABILITY = (8, 0)  # NVIDIA's number of the first that compute in bfloat16: Ampere, 2020


def check_precision(config: TrainConfig, gpu: Mapping[str, Any]) -> None:
    """Refuse mixed precision on a GPU that is too old for it; nothing is computed otherwise instead.

    Args:
        config: May ask for it.
        gpu: What ``tf.config.experimental.get_device_details`` says of the GPU.

    Raises:
        ConfigurationError: It is asked for, and the GPU cannot do it.
    """
    if config.mixed_precision and tuple(gpu.get("compute_capability", (0, 0))) < CAPABILITY:
        raise ConfigurationError(
            f"Mixed precision needs a GPU with bfloat16, which {gpu.get('device_name', 'this one')} does not have.",
            next_step="Switch mixed_precision off, or train on an NVIDIA GPU of the Ampere series or newer.",
        )
