"""What Spark and Delta say becomes an error of ours, with the words that matter."""

from __future__ import annotations

import errno

import pytest

from backend.catalogue.delta.delta_table import spark_errors
from backend.errors import Cancelled, CatalogueBusy, CatalogueError, StorageFull, WorkbenchError
from backend.progress import NullProgress

JAVA = (
    "An error occurred while calling o93.save.\n: org.apache.spark.SparkException: {}\n\tat java.base/java.lang.Thread"
)
PYTHON = (
    "\n  An exception was thrown from the Python worker.\nTraceback (most recent call last):\n"
    '  File "x.py", line 3, in read\n    raise it\n{}\n'
)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (JAVA.format("Job aborted: java.io.IOException: No space left on device"), StorageFull, "disk is full"),
        (JAVA.format("[DELTA_CONCURRENT_APPEND] Files were added"), CatalogueBusy, "Another writer changed"),
        (JAVA.format("io.delta.exceptions.MetadataChangedException: changed"), CatalogueBusy, "nothing from this load"),
        (JAVA.format("Job 3 failed"), CatalogueError, "The catalogue shop could not be loaded: Job 3 failed"),
        (
            PYTHON.format("backend.errors.DatasetDamaged: x.gz is cut."),
            CatalogueError,
            "shop could not be loaded: x.gz is cut.",
        ),
        (PYTHON.format("ValueError: seven"), CatalogueError, "shop could not be loaded: seven"),
        ("plain words", CatalogueError, "shop could not be loaded: plain words"),
        ("", CatalogueError, "shop could not be loaded: no reason given"),
    ],
)
def test_the_words_that_matter_are_kept(text, kind, said):
    with (
        pytest.raises(WorkbenchError, match=said) as caught,
        spark_errors("shop", NullProgress()),
    ):
        raise OSError(text)
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, OSError)


def test_a_full_disk_of_our_own_process_is_one_too():
    with pytest.raises(StorageFull), spark_errors("shop", NullProgress()):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_cancelled_user_hears_of_nothing_else():
    class Stopped(NullProgress):
        def check_cancelled(self):
            raise Cancelled("stop")

    with pytest.raises(Cancelled), spark_errors("shop", Stopped()):
        raise ConnectionRefusedError("the JVM got the same signal")


class Unspeakable(OSError):
    """Like a Java error whose JVM is gone."""

    def __str__(self):
        raise ConnectionRefusedError


def test_an_error_whose_jvm_is_gone_is_said_so():
    with pytest.raises(CatalogueError, match="the loading process ended"), spark_errors("shop", NullProgress()):
        raise Unspeakable


def test_errors_of_ours_and_mistakes_pass_unchanged():
    for error in (CatalogueBusy("busy"), ZeroDivisionError("mistake")):
        with pytest.raises(type(error)) as caught, spark_errors("shop", NullProgress()):
            raise error
        assert caught.value is error
