"""What finished work on a model brought, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app import words

if TYPE_CHECKING:
    from collections.abc import Callable


def sentences(kind: str, result: dict[str, Any]) -> list[str]:
    """Return what a finished job brought, in a few sentences; none where the kind or the result is another's."""
    teller, field = _TELLERS.get(kind, (None, ""))
    return teller(result) if teller is not None and field in result else []


def _trained(result: dict[str, Any]) -> list[str]:
    by = f" by {words.count(result['workers'], 'worker')}" if result["workers"] > 1 else ""
    return [f"{result['model']} is trained{by}.", *_scores(result["metrics"], "val", "validation")]


def _indexed(result: dict[str, Any]) -> list[str]:
    products = words.count(result["gallery_size"], "product")
    source = f"{result['catalogue']}, version {result['version']}"
    return [f"{result['model']} finds {products} of {source}. Its index is {result['index']}."]


def _refreshed(result: dict[str, Any]) -> list[str]:
    before, version = result["from_version"], result["version"]
    where = f"The index of {result['model']} is at version {version} of {result['catalogue']}"
    told = [
        f"{where}, as it was before." if before == version else f"{where} now, from version {before}; {_done(result)}."
    ]
    if "registered_version" in result:
        told.append(f"It is registered as version {result['registered_version']}, which is {result['alias']} now.")
    return told


def _done(result: dict[str, Any]) -> str:
    changes = {
        f"{words.count(result['embedded'], 'product was', 'products were')} embedded": result["embedded"],
        f"{words.count(result['details'], 'product')} got new details": result["details"],
        f"{words.count(result['removed'], 'product was', 'products were')} taken out": result["removed"],
    }
    return ", ".join(said for said, number in changes.items() if number) or "nothing in it had changed"


def _fidelity(result: dict[str, Any]) -> list[str]:
    found = f"{words.percent(result['fidelity'], digits=2)} of the exact {result['k']} nearest"
    return [
        f"The {result['kind']} index of {result['model']} finds {found} among {words.count(result['size'], 'product')}.",
        f"Half of the searches take {result['p50_ms']:.2f} ms, nineteen of twenty {result['p95_ms']:.2f} ms.",
    ]


def _evaluated(result: dict[str, Any]) -> list[str]:
    return [f"{result['model']} is evaluated.", *_scores(result["metrics"], "test", "test")]


def _demo(result: dict[str, Any]) -> list[str]:
    scores = {"test.precision_at_1": result["precision_at_1"], "test.map_at_r": result["map_at_r"]}
    products = words.count(result["rows_ingested"], "product")
    told = [
        (
            f"{products} were loaded in {words.duration(result['ingest_seconds'])}, "
            f"{result['model']} was trained in {words.duration(result['training_seconds'])}, "
            f"and finds {result['gallery_size']:,} of them."
        ),
        *_scores(scores, "test", "test"),
        f"It is version {result['model_version']} of the registered model, and the endpoint answers with it.",
    ]
    return [*told, result["note"]] if result["note"] else told


def _scores(metrics: dict[str, float], prefix: str, split: str) -> list[str]:
    """Say the scores, where a job of any version has both."""
    names = [f"{prefix}.{name}" for name in ("precision_at_1", "map_at_r")]
    if not metrics.keys() >= set(names):
        return []
    nearest, ranked = (words.percent(metrics[name], digits=1) for name in names)
    says = f"For {nearest} of the {split} products the nearest product has the same label (precision@1)"
    return [f"{says}; MAP@R is {ranked}."]


# How each kind is told, and a field that its result has.
_TELLERS: dict[str, tuple[Callable[[dict[str, Any]], list[str]], str]] = {
    "train": (_trained, "metrics"),
    "index": (_indexed, "gallery_size"),
    "refresh": (_refreshed, "from_version"),
    "fidelity": (_fidelity, "fidelity"),
    "evaluate": (_evaluated, "metrics"),
    "demo": (_demo, "rows_ingested"),
}
