"""What turns gradients into smaller losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backend.training.config import TrainConfig

MOMENTUM = 0.9


def build_optimizer(config: TrainConfig, learnt: list[Any], tf: Any) -> Any:
    """Return the optimizer of a configuration, built for the variables it will change.

    Weight decay is decoupled from the gradients, and of kernels and proxies only, not of biases and scales.
    """
    decay = config.weight_decay or None
    if config.optimizer == "sgd":
        optimizer = tf.keras.optimizers.SGD(config.learning_rate, momentum=MOMENTUM, nesterov=True, weight_decay=decay)
    elif decay is None:
        optimizer = tf.keras.optimizers.Adam(config.learning_rate)
    else:
        optimizer = tf.keras.optimizers.AdamW(config.learning_rate, weight_decay=decay)
    if decay is not None:
        optimizer.exclude_from_weight_decay(var_list=[v for v in learnt if len(v.shape) < 2])
    optimizer.build(learnt)
    return optimizer
