"""umap-learn as an engine of the map, in a process of its own that can be ended at any moment.

Importing and compiling umap-learn takes ten seconds and more, in which it looks at nothing; so its process is killed when
the user cancels. It draws from our neighbour graph (``precomputed_knn``), from the same start as Twinset's engine, and
tells its rounds through its own progress bar, which is written to a file. A seed makes it the same every time, on one
thread: with more, umap-learn draws another map every time.

Source: McInnes, Healy, Saul, Großberger, "UMAP: Uniform Manifold Approximation and Projection", Journal of Open Source
Software 3(29), 861, 2018; https://github.com/lmcinnes/umap.
"""

from __future__ import annotations

import io
import re
import resource
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import ProjectionError
from backend.files.limited import LimitedProcess, LimitExceeded, Limits
from backend.progress import Span
from backend.projection.engines import Drawing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.progress import Progress
    from backend.projection.engines import Subject

_LOOK_S = 0.2  # between two looks at whether to stop
_DAY_S = 86_400.0
_LARGEST_ANSWER = 1 << 34
_BAR = "{n}/{total};"  # of tqdm
_ROUNDS = re.compile(r"(\d+)/(\d+);")


def drawn(subject: Subject, *, threads: int, progress: Progress) -> Drawing:  # noqa: ARG001 - a seed allows one thread
    """Draw with umap-learn; see :class:`backend.projection.engines.Draw`.

    Raises:
        ProjectionError: The system ended its process, as where memory runs out.
    """
    limits = Limits(resource.getrlimit(resource.RLIMIT_AS)[0], _DAY_S, _DAY_S, _LARGEST_ANSWER)
    spans = Span.split(progress, [(f"{size}-D", float(size)) for size in subject.starts])
    found: dict[int, dict[str, NDArray[Any]]] = {}
    try:
        with (
            LimitedProcess("backend.projection.umap_learn:fitted", limits) as process,
            TemporaryDirectory(prefix="twinset-map-") as folder,
        ):
            for (size, start), span in zip(subject.starts.items(), spans, strict=True):
                bar = Path(folder) / f"{size}-D"
                process.send(_packed(**_question(subject), start=start, bar=np.asarray(str(bar))))
                found[size] = _awaited(process, bar, span)
    except LimitExceeded as error:
        raise ProjectionError(
            "The system stopped umap-learn before the map was drawn, possibly because it ran out of memory.",
            next_step="Close other programs, or draw the map with Twinset's engine.",
        ) from error
    return _as_drawing(found)


def _question(subject: Subject) -> dict[str, NDArray[Any]]:
    """Return what does not depend on the dimension: every product is its own first neighbour, as umap-learn has it."""
    options = subject.options
    near = subject.graph.nearest(options.neighbours - 1)
    itself = np.arange(near.size, dtype=np.int32)[:, None]
    chords = np.sqrt(2.0 * np.hstack([np.zeros((near.size, 1), np.float32), near.distances])).astype(np.float32)
    codes = np.where(subject.labels == "", -1, np.unique(subject.labels, return_inverse=True)[1])
    return {
        "vectors": subject.vectors,
        "neighbours": np.hstack([itself, near.positions]),
        "chords": chords,
        "labels": codes if options.supervised else codes[:0],
        "min_distance": np.asarray(options.min_distance),
        "seed": np.asarray(options.seed),
    }


def _awaited(process: LimitedProcess, bar: Path, progress: Progress) -> dict[str, NDArray[Any]]:
    progress.report(0, 1, note="starting umap-learn")
    while (answer := process.answer(_LOOK_S)) is None:
        progress.check_cancelled()
        lines = _ROUNDS.findall(bar.read_text(encoding="ascii")) if bar.is_file() else []
        if lines:
            progress.report(int(lines[-1][0]), int(lines[-1][1]), unit="rounds", note="arranging")
    progress.check_cancelled()
    progress.report(1, 1, note="arranging")
    return _unpacked(answer)


def _as_drawing(found: dict[int, dict[str, NDArray[Any]]]) -> Drawing:
    from scipy.sparse import csr_matrix

    one = next(iter(found.values()))
    size = len(one["positions"])
    a, b = one["curve"].tolist()
    return Drawing(
        {dimensions: parts["positions"] for dimensions, parts in found.items()},
        (a, b),
        csr_matrix((one["weights"], one["ends"], one["starts"]), shape=(size, size)),
    )


def _packed(**arrays: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _unpacked(data: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)


# ------------------------------------------------------------------------------------------- inside its process


def fitted(question: bytes) -> bytes:
    """Draw in one dimension; question and answer are arrays of :func:`numpy.savez`."""
    umap, asked = _umap(), _unpacked(question)
    a, b = umap.umap_.find_ab_params(1.0, float(asked["min_distance"]))
    with (
        Path(str(asked["bar"])).open("w", encoding="ascii") as bar,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "precomputed_knn")  # that transform() would need more: nobody calls it
        model = umap.UMAP(
            n_neighbors=asked["neighbours"].shape[1],
            n_components=asked["start"].shape[1],
            a=a,
            b=b,
            init=asked["start"],
            precomputed_knn=(asked["neighbours"], asked["chords"], None),
            random_state=int(asked["seed"]),
            n_jobs=1,
            tqdm_kwds={"file": bar, "bar_format": _BAR, "disable": False},
        ).fit(asked["vectors"], asked["labels"] if len(asked["labels"]) else None)
    rows = model.graph_.tocsr()
    rows.eliminate_zeros()  # the weakest edges, which fit() set to 0
    return _packed(
        positions=model.embedding_.astype(np.float32),
        curve=np.asarray((a, b)),
        weights=rows.data,
        ends=rows.indices,
        starts=rows.indptr,
    )


def _umap() -> Any:
    sys.modules.setdefault("umap.parametric_umap", None)  # type: ignore[arg-type]  # it would load TensorFlow for nothing
    import umap

    return umap
