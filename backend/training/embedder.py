"""Pictures to embeddings with a trained network, rebuilt in our own code from the arrays of a bundle."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles.bundle import WEIGHTS
from backend.errors import BundleError, ConfigurationError, RetrievalError
from backend.imaging import pixels as imaging
from backend.training.config import TrainConfig
from backend.training.network import weights
from backend.training.network.lone import LoneRunner
from backend.training.network.network import build_network
from backend.training.network.ready_made import likeness_of, tells_likeness
from backend.training.runtime import loaded, prepare_similarity, prepare_tensorflow

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.bundles.bundle import Manifest
    from backend.imaging.spec import PixelSpec

# Batches come in these sizes only, the last one padded: the libraries below prepare themselves anew for every size.
BATCH_SIZES = (1, 16, 256)
_LARGE = 128 * 128 * 3  # values of a picture from which on a batch is 16 at most: feature maps of 256 take gigabytes
# A larger network computes for so long that calling it is a trifle, and having it twice is not.
_LONE_WEIGHTS = 10_000_000
# The last map of a ready-made network, before its activation: where blocks are tuned beside it, and where none is.
_MAPS = ("kept-head-norm", "head-norm")
_NEXT = "Train the model again, or restore its folder from a copy."


class NetworkEmbedder:
    """A network that answers; see :class:`backend.retrieval.embedder.Embedder`.

    Args:
        model: Keras model, float32 (B, H, W, C) in [0, 1] to unit vectors (B, D).
        spec: What it sees.
    """

    def __init__(self, model: Any, spec: PixelSpec) -> None:
        tf = loaded()

        self._spec, self._shape = spec, tuple(model.input_shape[1:])
        self._sizes = BATCH_SIZES[:2] if math.prod(self._shape) >= _LARGE else BATCH_SIZES
        self._size = int(model.output_shape[-1])
        length = likeness_of(model)
        self._has_length = length is not None
        whole = model if length is None else tf.keras.Model(model.inputs, tf.concat([model.output, length[:, None]], 1))
        signature = [tf.TensorSpec((None, *self._shape), tf.float32)]
        run = tf.function(lambda pixels: whole(pixels, training=False), input_signature=signature)
        # Traced once and called without its dispatch, which takes a quarter of the time of one picture.
        self._run, self._tensor = run.get_concrete_function(), tf.constant
        self._lone: LoneRunner | None = None
        self._model, self._whole = model, whole  # a traced function holds its variables weakly, and would lose them

    def quicken(self, threads: int) -> None:
        """Answer lone pictures the quick way from now on, where that pays; weights must stay as they are.

        Args:
            threads: Threads for one picture; 0 means one.
        """
        if self._model.count_params() <= _LONE_WEIGHTS:
            self._threads = max(1, threads)
            self._lone = LoneRunner(self._run, threads=self._threads)

    @property
    def spec(self) -> PixelSpec:
        """What the network sees."""
        return self._spec

    @property
    def size(self) -> int:
        """Dimensions D of an embedding."""
        return self._size

    @property
    def batch(self) -> int:
        """Pictures at once."""
        return self._sizes[-1]

    def embed(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Embed uint8 (N, H, W, C), scaled by ``imaging.to_float``, as float32 (N, D), each row L2-normalised.

        A head that is still trained embeds features instead, float16 (N, F).

        Raises:
            RetrievalError: The pixels do not have the shape of ``spec``, or are not uint8.
        """
        return self._embedded(pixels)[:, : self._size]

    def embed_and_compare(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Embed as :meth:`embed` does; see :meth:`backend.retrieval.embedder.QueryEmbedder.embed_and_compare`."""
        found = self._embedded(pixels)
        return found[:, : self._size], found[:, self._size] if self._tells_likeness else None

    @cached_property
    def _tells_likeness(self) -> bool:
        return self._has_length and tells_likeness(self._model)

    def _embedded(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return embeddings, and behind them how long the kept part was where there is one."""
        wanted = np.uint8 if len(self._shape) > 1 else np.float16
        if pixels.shape[1:] != self._shape or pixels.dtype != wanted:
            raise RetrievalError(f"Need {np.dtype(wanted)} (N, {self._shape}), got {pixels.dtype} {pixels.shape}.")
        if self._lone and len(pixels) == 1:
            return self._lone(imaging.to_float(pixels))
        out = np.empty((len(pixels), self._size + self._has_length), dtype=np.float32)
        for start in range(0, len(pixels), self.batch):
            chunk = pixels[start : start + self.batch]
            out[start : start + len(chunk)] = self._run(self._tensor(self._padded(chunk))).numpy()[: len(chunk)]
        return out

    def _padded(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Scale up to a full batch of pictures; what is missing is black."""
        size = next(size for size in self._sizes if size >= len(pixels))
        batch = np.zeros((size, *self._shape), dtype=np.float32)
        batch[: len(pixels)] = imaging.to_float(pixels)
        return batch

    def seen(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Tell how much the network sees where in one picture, uint8 (H, W, C); None where it has no ready-made map.

        Returns:
            Length of the feature vector of each cell, float32 (n, n).
        """
        if self._looked is None:
            return None
        found: NDArray[np.float32] = np.asarray(self._looked(imaging.to_float(pixels[None])), dtype=np.float32)[0]
        return found

    @cached_property
    def _looked(self) -> Any:
        tf, names = loaded(), [layer.name for layer in self._model.layers]
        name = next((name for name in _MAPS if name in names), None)
        if name is None:
            return None
        upto = tf.keras.Model(self._model.inputs, self._model.get_layer(name).output)
        signature = [tf.TensorSpec((None, *self._spec.shape), tf.float32)]
        run = tf.function(
            lambda pixels: tf.norm(tf.nn.relu6(upto(pixels, training=False)), axis=-1), input_signature=signature
        ).get_concrete_function()
        return LoneRunner(run, threads=self._threads) if self._lone else lambda pixels: run(self._tensor(pixels))


def rebuilt(folder: Path, manifest: Manifest, *, threads: int, device: str) -> tuple[TrainConfig, Any]:
    """Rebuild a bundle's network and fill it with its weights; nothing stored is executed.

    Args:
        folder: The bundle, verified before.
        manifest: Its manifest.
        threads: Threads for one operation; 0 means all cores.
        device: What it computes on; the setting ``TWINSET_DEVICE`` when empty.

    Returns:
        Its configuration and its Keras model.

    Raises:
        BundleError: The configuration in the manifest is none, or the weights are missing, damaged, or do not fit it.
    """
    try:  # all that can be known to be wrong is known before TensorFlow is there
        config = TrainConfig.from_dict(manifest.config)
    except (ConfigurationError, TypeError, ValueError) as error:
        raise BundleError(
            f"The manifest of {folder.name} describes no known network: {error!s:.200}", next_step=_NEXT
        ) from error
    if (config.pixels, config.embedding_size) != (manifest.pixels, manifest.embedding_size):
        raise BundleError(f"The manifest of {folder.name} describes two networks.", next_step=_NEXT)
    arrays = weights.unpack(folder / WEIGHTS)
    prepare_tensorflow(threads, device)
    prepare_similarity()
    model = build_network(config)
    weights.check_fit(arrays, [tuple(variable.shape) for variable in model.weights])
    model.set_weights(arrays)
    return config, model


def load_query_embedder(folder: Path, manifest: Manifest, *, threads: int) -> NetworkEmbedder:
    """Do as :func:`load_embedder`, for who answers queries: one that comes alone is quick."""
    config, model = rebuilt(folder, manifest, threads=threads, device="")
    embedder = NetworkEmbedder(model, config.pixels)
    embedder.quicken(threads)
    return embedder
