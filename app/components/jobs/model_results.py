"""What finished work on a model brought, in sentences; see :mod:`app.components.jobs.result`."""

from __future__ import annotations

from typing import Any

from app import words


def trained(result: dict[str, Any]) -> list[str]:
    """Say what came of a training."""
    by = f" by {words.count(result['workers'], 'worker')}" if result["workers"] > 1 else ""
    scores = _scores(result["metrics"], "val", "validation")
    return [f"{result['model']} is trained{by}.", *scores, *result.get("notes", ())]


def indexed(result: dict[str, Any]) -> list[str]:
    """Say what came of a built index."""
    products = words.count(result["gallery_size"], "product")
    source = f"{result['catalogue']}, version {result['version']}"
    told = f"{result['model']} now searches {products} of {source}. Its index is {result['index']}."
    return [told, *words.left_out(result.get("left_out", 0))]


def refreshed(result: dict[str, Any]) -> list[str]:
    """Say what came of an index brought up to date."""
    before, version = result["from_version"], result["version"]
    where = f"The index of {result['model']} covers version {version} of {result['catalogue']}"
    told = [f"{where}, as before." if before == version else f"{where}, up from version {before}; {_done(result)}."]
    told += words.left_out(result.get("left_out", 0))
    if "registered_version" in result:
        told.append(f"It is registered as version {result['registered_version']}, now the {result['alias']}.")
    return told


def _done(result: dict[str, Any]) -> str:
    changes = {
        f"{words.count(result['embedded'], 'product was', 'products were')} embedded": result["embedded"],
        f"{words.count(result['details'], 'product')} had new details": result["details"],
        f"{words.count(result['removed'], 'product was', 'products were')} removed": result["removed"],
    }
    return ", ".join(said for said, number in changes.items() if number) or "nothing had changed"


def measured(result: dict[str, Any]) -> list[str]:
    """Say what came of a measured index."""
    found = f"{words.percent(result['fidelity'], digits=2)} of the exact {result['k']} nearest"
    return [
        f"The {result['kind']} index of {result['model']} finds {found} among {words.count(result['size'], 'product')}.",
        f"Median latency {result['p50_ms']:.2f} ms, p95 {result['p95_ms']:.2f} ms.",
    ]


def evaluated(result: dict[str, Any]) -> list[str]:
    """Say what came of an evaluation."""
    scores = _scores(result["metrics"], "test", "test")
    return [f"{result['model']} is evaluated.", *scores, *result.get("notes", [])]


def whole_path(result: dict[str, Any]) -> list[str]:
    """Say what came of the demo."""
    scores = {"test.precision_at_1": result["precision_at_1"], "test.map_at_r": result["map_at_r"]}
    products = words.count(result["rows_ingested"], "product")
    told = [
        (
            f"{products} were loaded in {words.duration(result['ingest_seconds'])}, "
            f"{result['model']} was trained in {words.duration(result['training_seconds'])}, and its index holds "
            f"{result['gallery_size']:,} of them."
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


def drawn(result: dict[str, Any]) -> list[str]:
    """Say what came of a drawn map."""
    there = " It already existed." if result["was_there"] else ""
    told = f"A map of {words.count(result['products'], 'product')}, in two and in three dimensions.{there}"
    return [told, *words.left_out(result.get("left_out", 0))]


def moved(result: dict[str, Any]) -> list[str]:
    """Say what came of an alias that moved."""
    before = f", replacing version {result['before']}" if result["before"] else ""
    told = [f"Version {result['version']}, the model {result['model']}, is now {result['alias']}{before}."]
    return [*told, f"The gate was overridden: {result['reason']}"] if result["reason"] else told


def rebuilt(result: dict[str, Any]) -> list[str]:
    """Say what came of a model recreated from its card."""
    gap = result.get("largest_weight_difference")
    other = "a different network" + (f", whose weights differ by {gap:.1g} at most" if gap is not None else "")
    same = "the same network, bit for bit" if result["same_network"] else other
    told = [f"{result['model']} was rebuilt from the card of {result['original']}; it is {same}."]
    changed = [f"{one['what']} {one['original'] or '–'} → {one['rebuilt'] or '–'}" for one in result["differs"]]
    return [*told, f"What differs: {'; '.join(changed)}." if changed else "Nothing differs."]


def deleted(result: dict[str, Any]) -> list[str]:
    """Say what came of a deletion."""
    told = [f"The {result['deleted']} was deleted, freeing {words.size(result['freed_bytes'])} of disk space."]
    if not result["is_sweep"]:
        return [*told, "Its MLflow run was kept."]
    if not result["runs"]:
        return told
    return [*told, f"{words.count(result['runs'], 'run')} moved to MLflow's trash; run `mlflow gc` to empty it."]
