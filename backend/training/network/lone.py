"""One picture at a time through a network, in TensorFlow Lite: a query is one, and TensorFlow itself takes twice as long.

TensorFlow calls its operations one by one, and for a single small picture that costs more than what they compute. Lite's
interpreter runs the same layers with the same float32 weights in one go. It is made from the network that our code has
built, in this process; nothing that was stored is converted or read.
"""

from __future__ import annotations

import warnings
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from backend.training.runtime import loaded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LoneRunner:
    """A network for single pictures; threads may share it.

    Args:
        traced: Concrete function of the network, float32 (B, H, W, C) to (B, D); later changes of its weights are not seen.
        threads: Threads for one picture.
    """

    def __init__(self, traced: Any, *, threads: int) -> None:
        tf = loaded()

        self._lite, self._threads = tf.lite, threads
        # Lite asks for an owner of the weights to save with them; given none of Keras's, it takes a tenth of the time.
        self._network: bytes = tf.lite.TFLiteConverter.from_concrete_functions([traced], tf.Module()).convert()
        self._idle: SimpleQueue[_Interpreter] = SimpleQueue()  # one for each thread that ever ran beside the others
        self._idle.put(self._made())

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the network makes of one picture, (1, H, W, C) to (1, D)."""
        try:
            interpreter = self._idle.get_nowait()
        except Empty:
            interpreter = self._made()
        found = interpreter(pixels)
        self._idle.put(interpreter)
        return found

    def _made(self) -> _Interpreter:
        return _Interpreter(self._lite, self._network, self._threads)


class _Interpreter:
    """One interpreter; it holds the numbers of one picture, and so serves one thread at a time."""

    def __init__(self, lite: Any, network: bytes, threads: int) -> None:
        with warnings.catch_warnings():
            # Lite is to move to a package of its own; the TensorFlow that is pinned here still has it.
            warnings.filterwarnings("ignore", message=r"\s*Warning: Please use the LiteRT interpreter")
            self._run = lite.Interpreter(model_content=network, num_threads=threads)
        self._run.allocate_tensors()
        self._asked = self._run.get_input_details()[0]["index"]
        self._answered = self._run.get_output_details()[0]["index"]

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        self._run.set_tensor(self._asked, pixels)
        self._run.invoke()
        found: NDArray[np.float32] = self._run.get_tensor(self._answered)
        return found
