"""A session leaves no process, file or variable behind; and the same load runs on a cluster of two workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from backend.catalogue.snapshot import open_snapshot
from tests.support.standalone import CONF, standalone

pytestmark = pytest.mark.spark


@pytest.fixture
def run(tmp_path, settings, repository):
    """Run a script in a process, working directory and temporary folder of its own; return what it prints as JSON."""
    (tmp_path / "cwd").mkdir()
    (tmp_path / "tmp").mkdir()

    def start(code, *, settings=settings, **variables):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(PREFACE) + textwrap.dedent(code)],
            cwd=tmp_path / "cwd",
            env={
                **os.environ,
                **settings.environment(),
                "PYTHONPATH": str(repository),
                "TMPDIR": str(tmp_path / "tmp"),
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        (tmp_path / "log").write_text(done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    return start


PREFACE = """
    import json, os, signal, sys
    from backend.settings import load_settings
    from backend.spark.session import open_spark
    settings = load_settings()
    def jvm(spark):
        return spark.sparkContext._gateway.proc.pid
    def lives(pid):
        return os.path.exists(f"/proc/{pid}")
"""


def test_a_session_ships_the_package_and_leaves_nothing_behind(run, tmp_path, repository):
    (tmp_path / "cwd" / "backend").mkdir()
    (tmp_path / "cwd" / "backend" / "__init__.py").write_text("raise ImportError('a stranger of the same name')")
    told = run(
        """
        def where(_):
            import backend.imaging.pixels
            return backend.imaging.pixels.__file__, os.environ.get("TF_USE_LEGACY_KERAS"), sys.executable, os.environ.get("_TWINSET_LOG")
        from backend.access.logs import begin_process
        from backend.progress import NullProgress
        from backend.spark.jobs import run_watched
        begin_process("json", request="r-4711", job="j-4711")
        before, path = dict(os.environ), list(sys.path)
        presses = []
        signal.signal(signal.SIGINT, lambda *_: presses.append("heard"))
        with open_spark(settings, app_name="one") as spark:
            os.kill(os.getpid(), signal.SIGINT)
            pid = jvm(spark)
            answers = spark.sparkContext.parallelize(range(2), 2).map(where).collect()
            with open_spark(settings, app_name="two") as inner:
                shared = inner is spark
            spark.range(3).write.format("delta").save(str(settings.home / "t"))
            rows = spark.read.format("delta").load(str(settings.home / "t")).count()
            told = run_watched(spark, lambda: spark.sparkContext.getLocalProperty("spark.job.description"), tasks=1,
                               on_share=lambda _: None, progress=NullProgress())
            try:
                spark.sparkContext.parallelize([0]).map(lambda one: 1 / one).collect()
            except Exception as error:
                told += f" {'ZeroDivisionError' in str(error)}"
        print(json.dumps({"answers": answers, "shared": shared, "rows": rows, "jvm lives": lives(pid), "ctrl-c": presses,
                          "told": told,
                          "same variables": before == dict(os.environ), "same path": path == sys.path}))
        """,
        PYTHONSAFEPATH="1",
    )
    for file, keras, python, mark in told.pop("answers"):
        assert file.endswith("/backend.zip/backend/imaging/pixels.py")
        assert not file.startswith(str(repository))
        assert (keras, python, mark) == ("1", sys.executable, "json:r-4711:j-4711")
    assert told.pop("told") == "Twinset request r-4711, job j-4711 True"
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    failed = [line for line in lines if "Exception in task" in line["message"]]
    assert failed
    assert {(line["level"], line["request"], line["job"]) for line in failed} <= {("ERROR", "r-4711", "j-4711")}
    assert told.pop("ctrl-c") == ["heard"]  # and not by Spark, which would end the process with a trace
    assert told == {"shared": True, "rows": 3, "jvm lives": False, "same variables": True, "same path": True}
    assert [entry.name for entry in (tmp_path / "cwd").iterdir()] == ["backend"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_killed_jvm_and_a_bad_start_do_not_stop_the_next_session(run, tmp_path):
    told = run(
        """
        from dataclasses import replace
        errors = []
        try:
            with open_spark(replace(settings, spark_driver_memory="much"), app_name="bad"):
                pass
        except Exception as error:
            errors.append([type(error).__name__, str(error)])
        try:
            with open_spark(settings, app_name="killed") as spark:
                os.kill(jvm(spark), signal.SIGKILL)
                spark.range(3).count()
        except Exception as error:
            errors.append([type(error).__name__])
        with open_spark(settings, app_name="next") as spark:
            pid, rows = jvm(spark), spark.range(3).count()
            try:
                with open_spark(replace(settings, spark_master="local[1]"), app_name="other"):
                    pass
            except Exception as error:
                errors.append([type(error).__name__, str(error)])
        print(json.dumps({"errors": errors, "rows": rows, "jvm lives": lives(pid)}))
        """
    )
    bad, killed, other = told["errors"]
    assert bad[0] == "EnvironmentUnready"
    assert "Spark does not start on local[2]" in bad[1]
    assert killed[0] in {"Py4JNetworkError", "ConnectionRefusedError", "Py4JError"}
    assert other == [
        "EnvironmentUnready",
        "This process has a Spark session on local[2], but local[1] is requested. Use one master per process.",
    ]
    assert (told["rows"], told["jvm lives"]) == (3, False)
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.fixture
def master(tmp_path):
    """The address of a standalone master with two workers."""
    with standalone(tmp_path) as address:
        yield address


@pytest.mark.slow
def test_a_load_runs_on_two_workers_that_know_nothing_of_the_repository(run, master, settings, idx_folder, tmp_path):
    told = run(
        """
        from pathlib import Path
        from backend.catalogue.loading.ingest import ingest
        from backend.catalogue.sources.built_in import FashionMnistSource
        from backend.progress import NullProgress
        source = FashionMnistSource(Path(settings.fashion_mnist_dir))
        with open_spark(settings, app_name="cluster") as spark:
            report = ingest(spark, source, settings, catalogue="shop",
                            progress=NullProgress())
        print(json.dumps(report.as_dict()))
        """,
        settings=replace(settings, spark_master=master, spark_conf=CONF, fashion_mnist_dir=str(idx_folder.path)),
    )
    assert (told["version"], told["kept"], told["rejected"]) == (1, 400, {})
    assert open_snapshot(settings.catalogues_dir, "shop").summary().by_split["test"] == 100
    for name in ("one", "two"):
        assert list((tmp_path / name).glob("app-*/*")), f"worker {name} had no part in it"


def test_slots_are_what_executors_offer_and_a_key_is_on_no_command_line(run, settings):
    key = r"s3\cret+4711=%41"
    conf = f"spark.task.cpus=2; spark.hadoop.fs.s3a.secret.key={key}; spark.default.parallelism=7"
    crowded = replace(settings, spark_conf=conf)
    told = run(
        """
        import logging
        from backend.progress import NullProgress
        from backend.spark.cluster import slots, wait_for_slots
        logging.basicConfig(level="INFO")
        with open_spark(settings, app_name="slots") as spark:
            found = [spark.sparkContext.defaultParallelism, slots(spark), wait_for_slots(spark, 2, NullProgress())]
            key = spark.sparkContext._jsc.hadoopConfiguration().get("fs.s3a.secret.key")
            line = open(f"/proc/{jvm(spark)}/cmdline").read()
        print(json.dumps({"found": found, "key": key, "is told": "4711" in line, "is a JVM": "spark.task.cpus" in line,
                          "py4j tells": logging.getLogger("py4j").isEnabledFor(logging.INFO)}))
        """,
        settings=crowded,
    )
    assert told == {"found": [7, 1, 1], "key": key, "is told": False, "is a JVM": True, "py4j tells": False}
