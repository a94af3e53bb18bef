"""The one way to TensorFlow and TensorFlow Similarity: legacy Keras, a set number of threads, no plotting libraries."""

from __future__ import annotations

import logging
import os
import sys
from types import ModuleType
from typing import Any

from backend.errors import EnvironmentUnready

logger = logging.getLogger(__name__)


def prepare_tensorflow(threads: int) -> Any:
    """Import TensorFlow with legacy Keras, which TensorFlow Similarity needs, and return the module.

    Args:
        threads: Threads for one operation; 0 leaves it to TensorFlow, which takes all cores. Threads can be set only
            before TensorFlow runs its first operation: a later, different wish is logged and has no effect.

    Raises:
        EnvironmentUnready: TensorFlow is missing, or was used before with another Keras.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
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
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # TensorFlow's own word for: it already runs
        logger.warning("TensorFlow already runs; it goes on with its own number of threads instead of %d.", threads)
