"""How a garment is coloured, as a part of an embedding: a soft histogram of Lab colours over the part of the picture
that the network looks at.

A network that learns kinds forgets colours. This part does not learn: it is computed in the network, from the pixels, so
that whatever embeds a picture also gives its colours. The cosine of two of them is the Bhattacharyya coefficient of the
two histograms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backend.training.network.lite import COLOURS  # the number of lightnesses times the square of that of hues

_LIGHTNESSES, _HUES = (10.0, 38.0, 67.0, 95.0), (-40.0, -10.0, 20.0, 50.0)
_SPREAD = 12.0  # of a colour over its neighbours, in Lab units: a difference of that size is plain to see
_CELL = 8  # pixels a side that are averaged
_CENTRE = 0.25  # spread of the middle of the picture, as a share of its sides
__all__ = ["COLOURS", "REGION", "colour_part", "lab_of", "region_of"]
REGION = "region"  # name of the layer that weighs the cells

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65


def colour_part(pixels: Any, features: Any, tf: Any) -> Any:
    """Return the colours of a picture's object as unit vectors (B, :data:`COLOURS`).

    Args:
        pixels: Symbolic sRGB (B, H, W, 3) in [0, 1].
        features: The network's last feature map (B, h, w, F); it is large where the network sees something.
        tf: TensorFlow.
    """
    cells = tf.keras.layers.AveragePooling2D(_CELL, padding="same")(pixels)
    lab = tf.reshape(lab_of(cells, tf), (-1, cells.shape[1] * cells.shape[2], 3))
    grid = np.stack(np.meshgrid(_LIGHTNESSES, _HUES, _HUES, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)
    apart = tf.reduce_sum(lab * lab, axis=-1, keepdims=True) - 2.0 * tf.matmul(lab, grid.T) + (grid * grid).sum(axis=1)
    share = tf.nn.softmax(-apart / (2.0 * _SPREAD**2), axis=-1)  # (B, cells, colours)
    weight = tf.reshape(region_of(features, cells.shape[1:3], tf), (-1, cells.shape[1] * cells.shape[2], 1))
    counted = tf.reduce_sum(share * weight, axis=1) / tf.reduce_sum(weight, axis=1)
    return tf.keras.layers.UnitNormalization(dtype="float32")(tf.sqrt(counted))


def region_of(features: Any, size: tuple[int, int], tf: Any) -> Any:
    """Weigh the cells of a picture by how much the network sees there, and by how near the middle they are.

    Returns:
        (B, height, width, 1), in (0, 1].
    """
    seen = tf.norm(features, axis=-1, keepdims=True)
    low, high = (edge(seen, axis=(1, 2), keepdims=True) for edge in (tf.reduce_min, tf.reduce_max))
    seen = tf.image.resize((seen - low + 1e-3) / (high - low + 1e-3), size)
    rows, columns = (np.exp(-0.5 * (np.linspace(-0.5, 0.5, side) / _CENTRE) ** 2) for side in size)
    middle = np.outer(rows, columns).astype(np.float32)[None, :, :, None]
    return tf.keras.layers.Activation("linear", name=REGION)(seen * middle)


def lab_of(pixels: Any, tf: Any) -> Any:
    """Turn sRGB (..., 3) in [0, 1] into CIE L*a*b* under D65: L from 0 to 100.

    Source: IEC 61966-2-1 for sRGB, ISO/CIE 11664-4 for Lab.
    """
    linear = tf.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    shape = tf.shape(linear)
    xyz = tf.reshape(tf.matmul(tf.reshape(linear, (-1, 3)), (_TO_XYZ.T / _WHITE).astype(np.float32)), shape)
    edge = 6.0 / 29.0
    root = tf.where(xyz > edge**3, tf.maximum(xyz, edge**3) ** (1.0 / 3.0), xyz / (3.0 * edge**2) + 4.0 / 29.0)
    x, y, z = (root[..., axis] for axis in range(3))
    return tf.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)
