"""EfficientNet-Lite 0, 1 and 2, as their ImageNet weights were trained: built in our code, preprocessing included.

Batch normalisation always uses the means and deviations that came with the weights, also while blocks are tuned: a few
hundred photos cannot replace those of a million, and ranks of a distributed training stay equal.

Source: the EfficientNet-Lite models of the TensorFlow TPU repository; Tan and Le, "EfficientNet: Rethinking Model
Scaling for Convolutional Neural Networks", 2019, arXiv:1905.11946. Lite leaves out squeeze-and-excitation, uses ReLU6,
and never scales the stem and the head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from backend.training.network.lite import LITE, LiteName

FEATURES, STEM = 1280, 32
# Repeats, kernel, stride, expansion, filters of each stage, before scaling.
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192))
_LAST = (1, 3, 1, 6, 320)
_SCALE, _OFFSET = 255.0 / 128.0, -127.0 / 128.0  # from [0, 1] to what the weights were trained with


@dataclass(frozen=True, slots=True)
class Block:
    """An inverted bottleneck: widened by 1 x 1, filtered channel by channel, narrowed by 1 x 1."""

    kernel: int
    stride: int
    expansion: int
    filters: int


def blocks_of(name: LiteName) -> list[Block]:
    """Return the blocks of a network, in their order."""
    width, depth = LITE[name].width, LITE[name].depth
    stages = [*_STAGES, _LAST]
    blocks = []
    for number, (repeats, kernel, stride, expansion, filters) in enumerate(stages):
        is_end = number in {0, len(stages) - 1}  # the first and the last stage are never repeated more often
        for repeat in range(repeats if is_end else math.ceil(depth * repeats)):
            blocks.append(Block(kernel, 1 if repeat else stride, expansion, _scaled(filters, width)))  # noqa: PERF401
    return blocks


def _scaled(filters: int, width: float) -> int:
    """Scale a number of filters and round it to eights, by no more than a tenth down."""
    rounded = max(8, int(filters * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters * width else rounded


class LiteNetwork:
    """The layers of a network, put on symbolic pixels part by part.

    Args:
        name: Which of :data:`backend.training.network.lite.LITE`.
        layers: ``tf.keras.layers``.
    """

    def __init__(self, name: LiteName, layers: Any) -> None:
        self._layers = layers
        self.blocks = blocks_of(name)

    def trunk(self, pixels: Any, upto: int) -> Any:
        """Return what the blocks before number ``upto`` make of pixels (B, H, W, 3) in [0, 1]; nothing here is tuned."""
        x = self._layers.Rescaling(_SCALE, offset=_OFFSET, name="preprocessing")(pixels)
        x = self._convolved(x, STEM, "stem", size=3, stride=2)
        for number in range(upto):
            x = self._block(x, number, prefix="", tuned=False)
        return x

    def tail(self, x: Any, start: int, *, prefix: str = "", tuned: bool = False) -> Any:
        """Return the last feature map (B, h, w, 1280), from the output of the blocks before number ``start``.

        Args:
            x: That output.
            start: The first block.
            prefix: Of the names of its layers, where a network has two tails.
            tuned: Whether training changes it.
        """
        for number in range(start, len(self.blocks)):
            x = self._block(x, number, prefix=prefix, tuned=tuned)
        return self._convolved(x, FEATURES, f"{prefix}head", tuned=tuned)

    def _block(self, x: Any, number: int, *, prefix: str, tuned: bool) -> Any:
        block, name, shortcut = self.blocks[number], f"{prefix}block-{number}", x
        width = int(x.shape[-1])
        if block.expansion > 1:
            x = self._convolved(x, width * block.expansion, f"{name}-expand", tuned=tuned)
        x = self._filtered(x, block, f"{name}-depthwise", tuned=tuned)
        x = self._convolved(x, block.filters, f"{name}-project", tuned=tuned, active=False)
        return self._layers.Add()([x, shortcut]) if block.stride == 1 and width == block.filters else x

    def _convolved(
        self,
        x: Any,
        filters: int,
        name: str,
        *,
        size: int = 1,
        stride: int = 1,
        tuned: bool = False,
        active: bool = True,
    ) -> Any:
        convolution = self._layers.Conv2D(
            filters, size, stride, "same", use_bias=False, trainable=tuned, name=f"{name}-kernel"
        )
        return self._normalised(convolution(x), name, tuned=tuned, active=active)

    def _filtered(self, x: Any, block: Block, name: str, *, tuned: bool) -> Any:
        convolution = self._layers.DepthwiseConv2D(
            block.kernel, block.stride, "same", use_bias=False, trainable=tuned, name=f"{name}-kernel"
        )
        return self._normalised(convolution(x), name, tuned=tuned, active=True)

    def _normalised(self, x: Any, name: str, *, tuned: bool, active: bool) -> Any:
        normal = self._layers.BatchNormalization(epsilon=1e-3, trainable=tuned, name=f"{name}-norm")
        x = normal(x, training=False)
        return self._layers.ReLU(6.0)(x) if active else x
