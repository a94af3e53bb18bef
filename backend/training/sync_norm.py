"""Batch normalisation over the global batch, so that what a network learns does not depend on how it is cut into ranks.

TensorFlow's fused operations do the work, as in Keras's own layer: they pass over the numbers less often than single
operations do, and passing over them is what takes the time.

Source: Ioffe and Szegedy, "Batch normalization", 2015, arXiv:1502.03167, section 3.
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
            mean, variance = _moments(tf.stop_gradient(x), self, hvd, tf)
            self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1.0 - self.momentum))
            count = _count(x, tf) * hvd.size()
            unbiased = variance * count / tf.maximum(count - 1.0, 1.0)  # as Keras keeps it
            self.moving_variance.assign(self.moving_variance * self.momentum + unbiased * (1.0 - self.momentum))
            return tf.cast(_normalised(x, mean, variance, self, hvd, tf), inputs.dtype)

    return lambda: SynchronisedNormalisation(momentum=NORM_MOMENTUM)


def _moments(x: Any, layer: Any, hvd: Any, tf: Any) -> tuple[Any, Any]:
    """Return mean and variance of every channel, (C,), over the global batch; no gradient passes."""
    ones, unused = tf.ones_like(layer.moving_mean), tf.zeros([0])
    own = _fused(tf, x, ones, tf.zeros_like(ones), unused, unused, epsilon=layer.epsilon, is_training=True)
    count = _count(x, tf)
    # Around the running mean, which all ranks share: a variance from large squares would lose its digits.
    shifted = own.batch_mean - layer.moving_mean
    squares = own.batch_variance * (count - 1.0) / count + tf.square(shifted)
    both = hvd.allreduce(tf.stack([shifted, squares]), op=hvd.Average, name=f"moments.{layer.name}")
    return both[0] + layer.moving_mean, tf.maximum(both[1] - tf.square(both[0]), 0.0)


def _normalised(x: Any, mean: Any, variance: Any, layer: Any, hvd: Any, tf: Any) -> Any:
    """Normalise x and scale it; gradients know that the moments came from the pictures of all ranks."""
    options = {"epsilon": layer.epsilon, "is_training": False}

    @tf.custom_gradient
    def scaled(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any]:
        out = _fused(tf, x, gamma, beta, mean, variance, **options)

        def gradient(dy: Any) -> tuple[Any, Any, Any]:
            _, dgamma, dbeta, _, _ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=dy,
                x=x,
                scale=gamma,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=out.reserve_space_3,
                **options,
            )
            sums = hvd.allreduce(tf.stack([dgamma, dbeta]), op=hvd.Sum, name=f"slopes.{layer.name}")
            tilt, level = tf.unstack(sums / (_count(x, tf) * hvd.size()))
            inverse = tf.math.rsqrt(variance + layer.epsilon)
            return _one_pass(tf)(dy, x, mean, gamma * inverse, level, tilt * inverse), dgamma, dbeta

        return out.y, gradient

    return scaled(x, tf.identity(layer.gamma), tf.identity(layer.beta))


def _one_pass(tf: Any) -> Callable[..., Any]:
    """Return what puts a gradient together: a line of single operations, compiled into one on CPUs.

    Each of them would read and write all numbers anew. XLA's sums over pictures are slower than TensorFlow's own, so that
    nothing else is compiled.
    """

    def gradient(dy: Any, x: Any, mean: Any, slope: Any, level: Any, tilt: Any) -> Any:
        return (dy - level - (x - mean) * tilt) * slope

    return gradient if tf.config.get_visible_devices("GPU") else tf.function(gradient, jit_compile=True)


def _count(x: Any, tf: Any) -> Any:
    """Numbers of a channel in this rank's batch."""
    return tf.cast(tf.size(x) // tf.shape(x)[-1], tf.float32)


def _fused(tf: Any, x: Any, scale: Any, offset: Any, mean: Any, variance: Any, **options: Any) -> Any:
    return tf.raw_ops.FusedBatchNormV3(x=x, scale=scale, offset=offset, mean=mean, variance=variance, **options)
