"""How the processes of one training speak with each other: not at all when there is one, by Horovod when there are more.

The loss is a mean over the pairs of the *global* batch. Embeddings are therefore gathered before it is computed: a rank's
loss is that of its own pictures, each compared with the pictures of all, and the mean over ranks is the loss of one process
with the whole batch. So is the gradient, if each rank's is averaged, and an embedding's is the sum of what all ranks say
of it. (Horovod's own gradient of ``allgather`` would average that, too.)

Every message is a wait for the slowest rank, and a step has little else to wait for: gradients and terms travel in one.

Source: Sergeev, Del Balso, "Horovod: fast and easy distributed deep learning in TensorFlow", 2018, arXiv:1802.05799.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


class Communicator(Protocol):
    """One process's view of all that train together."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""

    @property
    def size(self) -> int:
        """How many there are."""

    @property
    def normalisation(self) -> Callable[[], Any] | None:
        """Makes layers that normalise over the global batch; None where the local one is the global one."""

    def gather(self, tensor: Any) -> Any:
        """Concatenate the tensors of all ranks along the first axis, this one's first, with gradients."""

    def averaged(self, tensors: Sequence[Any]) -> list[Any]:
        """Average each over ranks."""

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Give all ranks the values that rank 0 has."""

    def gather_values(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the arrays of all ranks, one row a rank; all must have one shape."""


class Alone:
    """A process that trains on its own."""

    rank, size, normalisation = 0, 1, None

    def gather(self, tensor: Any) -> Any:
        """Return it."""
        return tensor

    def averaged(self, tensors: Sequence[Any]) -> list[Any]:
        """Return them."""
        return list(tensors)

    def broadcast(self, variables: Sequence[Any]) -> None:
        """No-op for a single process."""

    def gather_values(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return one row."""
        return np.asarray(values)[None]


class HorovodRanks:
    """The ranks of an initialised Horovod.

    Args:
        hvd: The module ``horovod.tensorflow`` after ``init``.
        tf: The module from :func:`backend.training.runtime.prepare_tensorflow`.
    """

    def __init__(self, hvd: Any, tf: Any) -> None:
        self._hvd, self._tf = hvd, tf
        self.rank, self.size = int(hvd.rank()), int(hvd.size())

    @property
    def normalisation(self) -> Callable[[], Any] | None:
        """Make layers that normalise over the global batch."""
        from backend.training.ranks.sync_norm import synchronised

        return synchronised(self._hvd, self._tf, fused=not self._tf.config.get_visible_devices("GPU"))

    def gather(self, tensor: Any) -> Any:
        """Concatenate over ranks, this one's first; every rank's part has the same size."""
        hvd, tf, name = self._hvd, self._tf, f"gather.{tensor.dtype.name}.{tensor.shape.rank}"

        @tf.custom_gradient
        def gathered(part: Any) -> tuple[Any, Callable[[Any], Any]]:
            before = self.rank * tf.shape(part)[0]  # rows of the ranks before this one

            def own_part(gradient: Any) -> Any:
                return hvd.reducescatter(tf.roll(gradient, before, axis=0), op=hvd.Sum, name=f"{name}.gradient")

            return tf.roll(hvd.allgather(part, name=name), -before, axis=0), own_part

        return gathered(tensor)

    def averaged(self, tensors: Sequence[Any]) -> list[Any]:
        """Average each over ranks, all in one message."""
        return list(self._hvd.grouped_allreduce(list(tensors), op=self._hvd.Average))

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Give all ranks the values that rank 0 has."""
        self._hvd.broadcast_variables(list(variables), root_rank=0)

    def gather_values(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the arrays of all ranks, one row a rank."""
        found: NDArray[Any] = self._hvd.allgather(self._tf.constant(np.asarray(values)[None])).numpy()
        return found
