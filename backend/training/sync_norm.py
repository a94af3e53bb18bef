"""Batch normalisation over the batches of all ranks together.

Mean and mean square are averaged over ranks. Horovod's gradient of an average is the average of gradients, which is what
the chain rule asks for here; see :mod:`backend.training.communicator` for the other gradients.

Source: Ioffe, Szegedy, "Batch Normalization", 2015, arXiv:1502.03167.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.training.network import NORM_MOMENTUM

if TYPE_CHECKING:
    from collections.abc import Callable


def synchronised(hvd: Any, tf: Any) -> Callable[[], Any]:
    """Return what makes such layers: as Keras's ``BatchNormalization``, with the same variables in the same order."""

    class SynchronisedNormalisation(tf.keras.layers.BatchNormalization):
        """Normalises float32 (B, H, W, C) by the moments of the global batch."""

        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:  # noqa: ARG002 - Keras's
            if not training:
                return super().call(inputs, training=False)
            x = tf.cast(inputs, tf.float32)
            axes = list(range(x.shape.rank - 1))
            # Around the running mean, which all ranks share: a variance from large squares would lose its digits.
            shift = tf.stop_gradient(self.moving_mean)
            moments = tf.stack([tf.reduce_mean(x - shift, axes), tf.reduce_mean(tf.square(x - shift), axes)])
            moments = hvd.allreduce(moments, op=hvd.Average, name=f"moments.{self.name}")
            mean, variance = moments[0] + shift, tf.maximum(moments[1] - tf.square(moments[0]), 0.0)
            self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1.0 - self.momentum))
            count = tf.cast(tf.reduce_prod(tf.gather(tf.shape(x), axes)) * hvd.size(), tf.float32)
            unbiased = variance * count / tf.maximum(count - 1.0, 1.0)  # as Keras keeps it
            self.moving_variance.assign(self.moving_variance * self.momentum + unbiased * (1.0 - self.momentum))
            scaled = tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, self.epsilon)
            return tf.cast(scaled, inputs.dtype)

    return lambda: SynchronisedNormalisation(momentum=NORM_MOMENTUM)
