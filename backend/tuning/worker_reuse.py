"""A Spark session for ``SparkTrials`` whose Python workers live on from trial to trial.

``SparkTrials`` runs each trial in a function that does not read the row it is given. Spark ends a Python worker that
leaves input unread, and so every trial would start Python and TensorFlow again, which takes longer than a short training.
Here the row is read before the trial begins; all else is the session's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pyspark.sql import SparkSession

    OnPartition = Callable[[Iterable[Any]], Iterable[Any]]


class _Shadow:
    """Everything of another object, unless it is written down here."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class ReusingSession(_Shadow):
    """A session whose context makes the datasets below."""

    def __init__(self, spark: SparkSession) -> None:
        super().__init__(spark)
        self.sparkContext = _ReusingContext(spark.sparkContext)


class _ReusingContext(_Shadow):
    def parallelize(self, rows: Iterable[Any], slices: int | None = None) -> _ReusingRows:
        return _ReusingRows(self._original.parallelize(rows, slices))


class _ReusingRows(_Shadow):
    def mapPartitions(self, function: OnPartition) -> Any:  # noqa: N802 - Spark's name
        return self._original.mapPartitions(_after_its_input(function))

    def withResources(self, profile: Any) -> _ReusingRows:  # noqa: N802 - ditto
        return _ReusingRows(self._original.withResources(profile))


def _after_its_input(function: OnPartition) -> OnPartition:
    def run(rows: Iterable[Any]) -> Iterator[Any]:
        read = list(rows)
        yield from function(read)

    return run
