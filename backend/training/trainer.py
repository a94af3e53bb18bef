"""The training loop: steps over the batches of a feed, one epoch at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import TrainingError
from backend.training.losses import EmbeddingLoss
from backend.training.network import build_network
from backend.training.schedule import learning_rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.feeding.batches import Feed
    from backend.progress import Progress
    from backend.training.config import TrainConfig

LISTEN_EVERY = 5  # steps between two looks at the cancel flag, about half a second
METRIC_EVERY = 10  # steps between two points of the loss curve


class Trainer:
    """A network, its loss and its optimizer, seeded; the same seed, feed and threads give the same weights.

    Args:
        config: A resolved configuration.
        classes: Number of classes.
        feed: Where the batches come from.
        tf: The module from :func:`backend.training.runtime.prepare_tensorflow`.
    """

    def __init__(self, config: TrainConfig, classes: int, feed: Feed, tf: Any) -> None:
        tf.keras.utils.set_random_seed(config.seed)
        self._config, self._feed, self._tf = config, feed, tf
        self.model = build_network(config)
        self._loss = EmbeddingLoss(config, classes)
        self._learnt = [*self.model.trainable_variables, *self._loss.variables]
        self._optimizer = _optimizer(config, self._learnt, tf)
        self._terms = self._compiled_step()
        self.steps_done = 0

    @property
    def total_steps(self) -> int:
        """Steps of the whole training, if it is not stopped early."""
        return self._config.epochs * self._feed.steps

    def run_epoch(self, number: int, *, progress: Progress, note: str) -> dict[str, float]:
        """Train one epoch, numbered from 0, and return the mean of the loss and of each of its terms.

        Raises:
            TrainingError: The loss is no longer a number.
            Cancelled: The user asked to stop.
        """
        sums: dict[str, float] = {}
        for step, batch in enumerate(self._feed.epoch(number), number * self._feed.steps):
            if step % LISTEN_EVERY == 0:
                progress.check_cancelled()
            self._optimizer.learning_rate.assign(learning_rate(self._config, step, self.total_steps))
            terms = {name: float(term) for name, term in self._terms(batch.pixels, batch.labels).items()}
            terms["loss"] = self._checked(sum(terms.values()), step)
            sums = {name: sums.get(name, 0.0) + term for name, term in terms.items()}
            if step % METRIC_EVERY == 0:
                progress.metric("loss", terms["loss"], step=step + 1)
            self.steps_done = step + 1
            progress.report(self.steps_done, self.total_steps, unit="steps", note=f"{note}, loss {terms['loss']:.3f}")
        return {name: total / self._feed.steps for name, total in sums.items()}

    def arrays(self) -> list[NDArray[np.float32]]:
        """Return the network's arrays as they are now, in their order.

        Raises:
            TrainingError: Some are not finite; a loss of pairs alone does not show that, because it drops such pairs.
        """
        arrays: list[NDArray[np.float32]] = self.model.get_weights()
        if not all(np.isfinite(array).all() for array in arrays):
            raise TrainingError(
                f"The network's weights are no longer numbers, after step {self.steps_done} of {self.total_steps}.",
                next_step="Train again with a lower learning rate.",
            )
        return arrays

    def _checked(self, loss: float, step: int) -> float:
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss is no longer a number, at step {step + 1} of {self.total_steps}.",
                next_step="Train again with a lower learning rate.",
            )
        return loss

    def _compiled_step(self) -> Any:
        tf = self._tf
        pixels = tf.TensorSpec((None, *self._config.pixels.shape), tf.float32)

        @tf.function(input_signature=[pixels, tf.TensorSpec((None,), tf.int32)])
        def step(pixels: Any, labels: Any) -> dict[str, Any]:
            with tf.GradientTape() as tape:
                terms = self._loss.terms(labels, self.model(pixels, training=True))
                loss = tf.add_n(list(terms.values()))
            gradients = tape.gradient(loss, self._learnt)
            self._optimizer.apply_gradients(zip(gradients, self._learnt, strict=True))
            return terms

        return step


def _optimizer(config: TrainConfig, learnt: list[Any], tf: Any) -> Any:
    """Return Adam, with decoupled weight decay if asked for: of kernels and proxies, not of biases and scales."""
    if not config.weight_decay:
        optimizer = tf.keras.optimizers.Adam(config.learning_rate)
    else:
        optimizer = tf.keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay)
        optimizer.exclude_from_weight_decay(var_list=[v for v in learnt if len(v.shape) < 2])
    optimizer.build(learnt)
    return optimizer
