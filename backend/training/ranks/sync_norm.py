"""Batch normalisation over the global batch, so that what a network learns does not depend on how it is cut into ranks.

TensorFlow's fused operations do the work, as in Keras's own layer: they pass over the numbers less often than single
operations do, and passing over them is what takes the time. Cards have no fused gradient that gives the same bits every
time where moments are given rather than taken, so that there its two sums are taken by single operations.

Source: Ioffe and Szegedy, "Batch normalization", 2015, arXiv:1502.03167, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.training.network.network import NORM_MOMENTUM

if TYPE_CHECKING:
    from collections.abc import Callable


def synchronised(hvd: Any, tf: Any, *, fused: bool) -> Callable[[], Any]:
    """Return what makes such layers: as Keras's ``BatchNormalization``, with the same variables in the same order.

    Args:
        hvd: The module ``horovod.tensorflow`` after ``init``.
        tf: TensorFlow.
        fused: Whether the gradient's sums are taken by the fused operation, compiled further; not on a card.
    """

    class SynchronisedNormalisation(tf.keras.layers.BatchNormalization):
        """Normalises float32 (B, H, W, C) by the moments of the global batch."""

        is_fused = fused

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
    slopes = _fused_slopes if layer.is_fused else _single_slopes

    @tf.custom_gradient
    def scaled(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any]:
        out = _fused(tf, x, gamma, beta, mean, variance, epsilon=layer.epsilon, is_training=False)

        def gradient(dy: Any) -> tuple[Any, Any, Any]:
            dgamma, dbeta = slopes(dy, x, (gamma, mean, variance, out.reserve_space_3), layer.epsilon, tf)
            sums = hvd.allreduce(tf.stack([dgamma, dbeta]), op=hvd.Sum, name=f"slopes.{layer.name}")
            tilt, level = tf.unstack(sums / (_count(x, tf) * hvd.size()))
            inverse = tf.math.rsqrt(variance + layer.epsilon)
            assembled = tf.function(_assembled, jit_compile=True) if layer.is_fused else _assembled
            return assembled(dy, x, mean, gamma * inverse, level, tilt * inverse), dgamma, dbeta

        return out.y, gradient

    return scaled(x, tf.identity(layer.gamma), tf.identity(layer.beta))


def _fused_slopes(dy: Any, x: Any, given: tuple[Any, ...], epsilon: float, tf: Any) -> tuple[Any, Any]:
    """Return the gradients of gamma and beta, (C,) each, of one pass over the numbers."""
    names = ("scale", "reserve_space_1", "reserve_space_2", "reserve_space_3")
    options = {"epsilon": epsilon, "is_training": False, **dict(zip(names, given, strict=True))}
    found = tf.raw_ops.FusedBatchNormGradV3(y_backprop=dy, x=x, **options)
    return found.scale_backprop, found.offset_backprop


def _single_slopes(dy: Any, x: Any, given: tuple[Any, ...], epsilon: float, tf: Any) -> tuple[Any, Any]:
    """Return the same from sums, whose terms have one order on every device."""
    _, mean, variance, _ = given
    tilted = tf.reduce_sum(dy * (x - mean), axis=(0, 1, 2))
    return tilted * tf.math.rsqrt(variance + epsilon), tf.reduce_sum(dy, axis=(0, 1, 2))


def _assembled(dy: Any, x: Any, mean: Any, slope: Any, level: Any, tilt: Any) -> Any:
    """Put a gradient together: a line of single operations, to be compiled into one on processors.

    Each of them would read and write all numbers again. XLA's sums over pictures are slower than TensorFlow's own, so that
    nothing else is compiled.
    """
    return (dy - level - (x - mean) * tilt) * slope


def _count(x: Any, tf: Any) -> Any:
    """Numbers of a channel in this rank's batch."""
    return tf.cast(tf.size(x) // tf.shape(x)[-1], tf.float32)


def _fused(tf: Any, x: Any, scale: Any, offset: Any, mean: Any, variance: Any, **options: Any) -> Any:
    return tf.raw_ops.FusedBatchNormV3(x=x, scale=scale, offset=offset, mean=mean, variance=variance, **options)
