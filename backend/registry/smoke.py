"""A logged model must answer in a process that knows nothing of this checkout, or it is not registered.

MLflow itself tries the input example in the process that logs it, where everything is loaded already, and only warns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from backend.errors import BundleError
from backend.files.scratch import own_folder
from backend.training.runtime import TENSORFLOW_ENVIRONMENT

if TYPE_CHECKING:
    from backend.progress import Progress
    from backend.settings import Settings

PATIENCE_S = 300
_POLL_S = 0.5
_LAST_LINES = 1_500
_PROGRAM = """
import json, math, sys, warnings
warnings.simplefilter("ignore")
try:
    import mlflow, pandas
    model = mlflow.pyfunc.load_model(sys.argv[1])
    data = model.input_example
    example, params = data if isinstance(data, tuple) else (data, {"k": 3})
    found = model.predict(example, params=params)
    report = {
        "columns": list(found.columns),
        "rows": len(found),
        "finite": bool(all(math.isfinite(value) for value in found["distance"])),
    }
except Exception as error:
    report = {"error": getattr(error, "message", None) or f"{type(error).__name__}: {error}"}
print(json.dumps(report))
"""
_EXPECTED = {"query_row", "rank", "product_id", "label", "distance", "similarity"}


def try_in_fresh_process(settings: Settings, model_uri: str, progress: Progress) -> None:
    """Load a logged model from the store in a process of its own, somewhere else, and have it answer its example.

    Raises:
        BundleError: It does not load, or its answer is invalid.
        Cancelled: The user asked to stop.
    """
    report = _report(settings, model_uri, progress)
    problem = report.get("error")
    if problem is None and not (set(report["columns"]) >= _EXPECTED and report["rows"] and report["finite"]):
        problem = "its answer is invalid"
    if problem is not None:
        raise BundleError(
            f"The model does not work in a separate process and was not registered: {problem}",
            next_step="Train or index it again; the log has the details.",
        )


def _report(settings: Settings, model_uri: str, progress: Progress) -> dict[str, Any]:
    # What this process told itself of TensorFlow is not told the other one: a model must bring all it needs.
    ours = {"PYTHONPATH", *TENSORFLOW_ENVIRONMENT}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {
        "MLFLOW_TRACKING_URI": settings.effective_tracking_uri,
        "MLFLOW_REGISTRY_URI": settings.effective_tracking_uri,
        "TF_CPP_MIN_LOG_LEVEL": TENSORFLOW_ENVIRONMENT["TF_CPP_MIN_LOG_LEVEL"],
    }
    with own_folder("smoke") as elsewhere:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, model_uri],
            cwd=elsewhere,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        output, errors = _awaited(process, progress)
    try:
        report: dict[str, Any] = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": f"it ended with status {process.returncode}. {errors[-_LAST_LINES:]}"}
    return report


def _awaited(process: subprocess.Popen[str], progress: Progress) -> tuple[str, str]:
    """Wait for a process; it is killed when the user asks to stop, or when it takes too long."""
    for _ in range(int(PATIENCE_S / _POLL_S)):
        try:
            return process.communicate(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            try:
                progress.check_cancelled()
            except BaseException:
                process.kill()
                process.communicate()
                raise
    process.kill()
    process.communicate()
    return "", f"It did not answer in {PATIENCE_S} s."
