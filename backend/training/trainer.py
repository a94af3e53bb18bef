"""The training loop: steps over the batches of a feed, one epoch at a time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import TrainingError
from backend.training.detail import fit_detail, learnt_part
from backend.training.network.lite import LITE
from backend.training.network.losses import EmbeddingLoss
from backend.training.network.network import build_network, build_trained
from backend.training.network.optimizers import build_optimizer
from backend.training.network.pretrained import load_pretrained
from backend.training.network.ready_made import head_arrays, set_head
from backend.training.network.schedule import learning_rate
from backend.training.ranks.communicator import Alone

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.feeding.feed import Feed
    from backend.progress import Progress
    from backend.training.config import TrainConfig
    from backend.training.ranks.communicator import Communicator

LISTEN_EVERY = 5  # steps between two looks at the cancel flag, about half a second
METRIC_EVERY = 10  # steps between two points of the loss curve


@dataclass(frozen=True, slots=True)
class EpochSpeed:
    """How an epoch's time was spent on this process.

    Attributes:
        seconds: From its first to its last step.
        waited: Share of them that steps waited for batches.
        examples_per_second: Pictures of this process's batches.
    """

    seconds: float
    waited: float
    examples_per_second: float


class Trainer:
    """A network, its loss and its optimizer, seeded; the same seed, feed and threads give the same weights.

    Args:
        config: A resolved configuration.
        classes: Number of classes.
        feed: Where this process's batches come from.
        tf: The module from :func:`backend.training.runtime.prepare_tensorflow`.
        ranks: The processes that train together.
    """

    def __init__(
        self, config: TrainConfig, classes: int, feed: Feed, tf: Any, ranks: Communicator | None = None
    ) -> None:
        tf.keras.utils.set_random_seed(config.seed)
        self._config, self._feed, self._tf, self._ranks = config, feed, tf, ranks or Alone()
        self.model = build_trained(config, self._ranks.normalisation)
        load_pretrained(self.model, config)
        self._whole: Any = None  # of a head, once it was asked for
        self._loss = EmbeddingLoss(config, classes)
        self._learnt = [*self.model.trainable_variables, *self._loss.variables]
        self._optimizer = build_optimizer(config, self._learnt, tf)
        self._ranks.broadcast(self._variables)
        self._terms = self._compiled_step()
        self.steps_done = 0
        self._is_warm = False
        self.speed = EpochSpeed(0.0, 0.0, 0.0)

    @property
    def _variables(self) -> list[Any]:
        """All that a training changes: of the network, of the loss, of the optimizer."""
        return [*self.model.weights, *self._loss.variables, *self._optimizer.variables]

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
        started, waited, pictures = time.perf_counter(), 0.0, 0
        batches = iter(self._feed.epoch(number))
        for step in range(number * self._feed.steps, (number + 1) * self._feed.steps):
            if step % LISTEN_EVERY == 0:
                progress.check_cancelled()
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            pictures += len(batch.labels)
            self._optimizer.learning_rate.assign(learning_rate(self._config, step, self.total_steps))
            terms = {name: float(term) for name, term in self._terms(batch.pixels, batch.labels).items()}
            terms["loss"] = self._checked(sum(terms.values()), step)
            if not self._is_warm:  # the first step of a process also compiles the steps
                self._is_warm, started, waited, pictures = True, time.perf_counter(), 0.0, 0
            sums = {name: sums.get(name, 0.0) + term for name, term in terms.items()}
            if step % METRIC_EVERY == 0:
                progress.metric("loss", terms["loss"], step=step + 1)
            self.steps_done = step + 1
            progress.report(self.steps_done, self.total_steps, unit="steps", note=f"{note}, loss {terms['loss']:.3f}")
        seconds = time.perf_counter() - started
        self.speed = EpochSpeed(seconds, waited / seconds, pictures / seconds)
        return {name: total / self._feed.steps for name, total in sums.items()}

    def take_over(self, head: Trainer) -> None:
        """Go on from a head that another trainer trained for the same classes."""
        set_head(self.model, head_arrays(head.model))
        for mine, its in zip(self._loss.variables, head._loss.variables, strict=True):
            mine.assign(its)

    def settle(self, pixels: NDArray[np.uint8]) -> None:
        """Bring up to date what is not learnt by steps, from pictures of the train split, uint8 (N, H, W, C)."""
        if self._config.backbone not in LITE:
            fit_detail(self.model, pixels, self._ranks, self._tf)

    def state(self) -> list[NDArray[Any]]:
        """Return all that :meth:`restore` needs to go on as if nothing had happened, but for dropout's draws."""
        return [variable.numpy() for variable in self._variables]

    def restore(self, arrays: list[NDArray[Any]], *, epochs: int) -> None:
        """Go on from a :meth:`state` after so many epochs.

        Raises:
            TrainingError: It is the state of another network or optimizer.
        """
        variables = self._variables
        if [array.shape for array in arrays] != [tuple(variable.shape) for variable in variables]:
            raise TrainingError(
                "The checkpoint belongs to a different network than the configuration describes.",
                next_step="Start a new training under another name.",
            )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
        self._ranks.broadcast(variables)
        self.steps_done = epochs * self._feed.steps

    def arrays(self) -> list[NDArray[np.float32]]:
        """Return the network's arrays as they are now, in their order.

        Raises:
            TrainingError: Some are not finite; a loss of pairs alone does not show that, because it drops such pairs.
        """
        arrays: list[NDArray[np.float32]] = self._network().get_weights()
        if not all(np.isfinite(array).all() for array in arrays):
            raise TrainingError(
                f"The network's weights are no longer finite, after step {self.steps_done} of {self.total_steps}.",
                next_step="Train again with a lower learning rate.",
            )
        return arrays

    def _network(self) -> Any:
        """Return the network from pixels on, with the head as it is now."""
        if not self._config.learns_from_features:
            return self.model
        if self._whole is None:
            self._whole = build_network(self._config)
            load_pretrained(self._whole, self._config)
        set_head(self._whole, head_arrays(self.model))
        return self._whole

    def _checked(self, loss: float, step: int) -> float:
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss is no longer finite, at step {step + 1} of {self.total_steps}.",
                next_step="Train again with a lower learning rate.",
            )
        return loss

    def _compiled_step(self) -> Any:
        tf = self._tf
        pixels = tf.TensorSpec(self.model.input_shape, tf.float32)

        @tf.function(input_signature=[pixels, tf.TensorSpec((None,), tf.int32)])
        def step(pixels: Any, labels: Any) -> dict[str, Any]:
            with tf.GradientTape() as tape:
                embeddings = self._ranks.gather(learnt_part(self.model(pixels, training=True), self._config))
                terms = self._loss.terms(self._ranks.gather(labels), embeddings, tf.size(labels))
                loss = tf.add_n(list(terms.values()))
            gradients = tape.gradient(loss, self._learnt)
            *gradients, values = self._ranks.averaged([*gradients, tf.stack(list(terms.values()))])
            self._optimizer.apply_gradients(zip(gradients, self._learnt, strict=True))
            return dict(zip(terms, tf.unstack(values), strict=True))

        return step
