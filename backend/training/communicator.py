"""How the processes of one training speak with each other: not at all when there is one, by Horovod when there are more.

The loss is a mean over the pairs of the *global* batch. Embeddings are therefore gathered before it is computed, on every
rank the same, and what flows back is chosen so that the sum over ranks is the gradient that one process with the whole
batch would have had:

* Horovod's gradient of ``allgather`` averages what the ranks send back. All ranks compute the same loss of the same
  gathered batch, so that the average is the gradient itself.
* A rank's network saw only its own part of the batch: gradients of the network's variables are summed.
* Variables of the loss (proxies) saw the whole batch on every rank: their gradients are equal, and averaged.

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
        """Concatenate the tensors of all ranks along the first axis, in the order of ranks, with gradients."""

    def summed(self, gradients: Sequence[Any]) -> list[Any]:
        """Sum each gradient over ranks."""

    def averaged(self, gradients: Sequence[Any]) -> list[Any]:
        """Average each gradient over ranks."""

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

    def summed(self, gradients: Sequence[Any]) -> list[Any]:
        """Return them."""
        return list(gradients)

    def averaged(self, gradients: Sequence[Any]) -> list[Any]:
        """Return them."""
        return list(gradients)

    def broadcast(self, variables: Sequence[Any]) -> None:
        """There is nobody to tell."""

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
        from backend.training.sync_norm import synchronised

        return synchronised(self._hvd, self._tf)

    def gather(self, tensor: Any) -> Any:
        """Concatenate over ranks; every rank's part has the same size."""
        return self._hvd.allgather(tensor, name=f"gather.{tensor.dtype.name}.{tensor.shape.rank}")

    def summed(self, gradients: Sequence[Any]) -> list[Any]:
        """Sum over ranks, all in one message."""
        return list(self._hvd.grouped_allreduce(list(gradients), op=self._hvd.Sum)) if gradients else []

    def averaged(self, gradients: Sequence[Any]) -> list[Any]:
        """Average over ranks."""
        return list(self._hvd.grouped_allreduce(list(gradients), op=self._hvd.Average)) if gradients else []

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Give all ranks the values that rank 0 has."""
        self._hvd.broadcast_variables(list(variables), root_rank=0)

    def gather_values(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the arrays of all ranks, one row a rank."""
        found: NDArray[Any] = self._hvd.allgather(self._tf.constant(np.asarray(values)[None])).numpy()
        return found
