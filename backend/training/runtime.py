"""The one door to TensorFlow and TensorFlow Similarity, for whoever trains, indexes, scores or answers.

Behind it are legacy Keras, a set number of threads, one graphics card or none, memory that is taken as it is needed, and
no plotting libraries. No other module imports TensorFlow: what is asked after the door asks :func:`loaded`.
"""

from __future__ import annotations

import logging
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from backend.errors import ConfigurationError, EnvironmentUnready
from backend.settings import device_setting
from backend.training.network.precision import check_precision

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.training.config import TrainConfig

    Place = Callable[[int], int]

Device = Literal["auto", "cpu", "gpu"]
logger = logging.getLogger(__name__)
OPERATIONS_AT_ONCE = 2  # a second one fills what the first leaves idle: a step takes 15 % less on two cores
_LEGACY_KERAS = {"TF_USE_LEGACY_KERAS": "1"}
TENSORFLOW_ENVIRONMENT = {
    **_LEGACY_KERAS,
    "TF_CPP_MIN_LOG_LEVEL": "3",  # a machine without a GPU is no error
    # TensorFlow leaves oneDNN off on some processors that gain by it: a training step takes half the time, as exactly.
    "TF_ENABLE_ONEDNN_OPTS": "1",
    # TensorFlow would take the whole card at once, and every process beside it would starve.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}


def prepare_tensorflow(threads: int, device: str = "") -> Any:
    """Import TensorFlow with legacy Keras, which TensorFlow Similarity needs, choose a device, and return the module.

    Args:
        threads: Threads for one operation; 0 leaves it to TensorFlow, which takes all cores. Threads can be set only
            before TensorFlow runs its first operation: a later, different wish is logged and has no effect.
        device: ``cpu``, or ``auto`` and ``gpu`` for the first card that there is, with memory taken as it is needed;
            the setting ``TWINSET_DEVICE`` when left out.

    Raises:
        EnvironmentUnready: TensorFlow is missing, or was used before with another Keras.
    """
    tf = _imported(threads)
    _choose(tf, [] if (device or device_setting()) == "cpu" else tf.config.list_physical_devices("GPU")[:1])
    return tf


def loaded() -> Any:
    """Return TensorFlow, which :func:`prepare_tensorflow` has imported in this process.

    Raises:
        EnvironmentUnready: It has not: nobody chose Keras, threads and device.
    """
    if "tensorflow" not in sys.modules:
        raise EnvironmentUnready(
            "TensorFlow has not been prepared in this process.",
            next_step="Call backend.training.runtime.prepare_tensorflow first.",
        )
    return sys.modules["tensorflow"]


def _imported(threads: int) -> Any:
    set_environment()
    try:
        import tensorflow as tf
    except ImportError as error:
        raise EnvironmentUnready("TensorFlow cannot be imported.", next_step="Run `make setup`.") from error
    if not tf.keras.Model.__module__.startswith("tf_keras."):
        raise EnvironmentUnready(
            "TensorFlow was started with Keras 3, but TensorFlow Similarity needs legacy Keras.",
            next_step="Set TF_USE_LEGACY_KERAS=1 before the program starts.",
        )
    _set_threads(tf, threads)
    return tf


def set_environment() -> None:
    """Set what TensorFlow reads when it is imported, which MLflow does, too: every process calls this when it begins."""
    os.environ.update(_LEGACY_KERAS)
    for name, value in TENSORFLOW_ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def prepare_similarity() -> Any:
    """Import TensorFlow Similarity without its plotting part, and return the package.

    Its ``visualization`` draws in UMAP, numba and bokeh, which cost ten seconds and more of every training and which no
    training needs. An empty module stands in while the package is imported, and is taken away again: whoever imports
    ``tensorflow_similarity.visualization`` afterwards gets the real one.

    Raises:
        EnvironmentUnready: The package is missing.
    """
    part = "tensorflow_similarity.visualization"
    if "tensorflow_similarity" not in sys.modules:
        sys.modules[part] = ModuleType(part)
        try:
            import tensorflow_similarity
        except ImportError as error:
            raise EnvironmentUnready(
                "TensorFlow Similarity cannot be imported.", next_step="Run `make setup`."
            ) from error
        finally:
            del sys.modules[part]
        del tensorflow_similarity.visualization
    return sys.modules["tensorflow_similarity"]


def _set_threads(tf: Any, threads: int) -> None:
    if not threads or tf.config.threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(min(threads, OPERATIONS_AT_ONCE))
    except RuntimeError:  # TensorFlow's own word for: it already runs
        logger.warning("TensorFlow is already running; it keeps its number of threads instead of %d.", threads)


def first_card(_count: int) -> int:
    """Take the first card of however many there are."""
    return 0


def prepare_training(config: TrainConfig, *, threads: int, device: Device, place: Place = first_card) -> Any:
    """Make this process ready to train a configuration, and return TensorFlow.

    Args:
        config: Says whether the same bits are wanted every time.
        threads: As :func:`prepare_tensorflow`.
        device: As :func:`use_device`.
        place: As there.

    Raises:
        EnvironmentUnready: TensorFlow, TensorFlow Similarity or the device is missing.
        ConfigurationError: As :func:`use_device`.
    """
    tf = _imported(threads)
    use_device(tf, device, config, place=place)
    prepare_similarity()
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    return tf


def use_device(tf: Any, device: Device, config: TrainConfig, *, place: Place = first_card) -> None:
    """Choose what this process computes on: one GPU, or none.

    Args:
        tf: The module from :func:`prepare_tensorflow`.
        device: ``auto`` takes a GPU where there is one.
        config: Mixed precision needs a GPU.
        place: Told how many cards TensorFlow can use, says which is this process's, counted around; may refuse.

    Raises:
        EnvironmentUnready: A GPU was asked for and there is none.
        ConfigurationError: Mixed precision was asked for, and there is no GPU or one that is too old.
    """
    gpus = [] if device == "cpu" else tf.config.list_physical_devices("GPU")
    if not gpus and device == "gpu":
        raise EnvironmentUnready(
            "A GPU was requested, but TensorFlow finds none on this machine.",
            next_step="Install a driver and requirements-gpu.txt, or set TWINSET_DEVICE to auto or cpu.",
        )
    if not gpus and config.mixed_precision:
        raise ConfigurationError(
            "Mixed precision needs a GPU, but this training would run without one.",
            next_step="Switch mixed_precision off, or train on a machine with a GPU.",
        )
    chosen = [gpus[place(len(gpus)) % len(gpus)]] if gpus else []
    for gpu in chosen:
        check_precision(config, tf.config.experimental.get_device_details(gpu))
    _choose(tf, chosen)


def _choose(tf: Any, gpus: list[Any]) -> None:
    """Have TensorFlow see these cards and no other, and take their memory as it is needed."""
    try:
        tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:  # TensorFlow's own word for: it already runs
        if tf.config.get_visible_devices("GPU") != gpus:
            logger.warning("TensorFlow is already running; it keeps its devices.")
