"""The commands that judge models: ``evaluate`` one, ``compare`` two."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from backend.cli.options import add_model, add_ranged
from backend.cli.running import carry_out
from backend.cli.text import as_lines
from backend.evaluation.options import RANGES, EvaluationOptions
from backend.flow.requests import EvaluateRequest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.settings import Settings

Result = dict[str, Any]
RATE_TITLES = {
    "precision_at_1": "precision@1",
    "precision_at_k": "precision@{k}",
    "hit_rate_at_k": "hit rate@{k}",
    "r_precision": "R-precision",
    "map_at_r": "MAP@R",
}
_SHOWN_QUERIES = 20


def add_evaluation(commands: Any, command: Callable[..., Any]) -> None:
    """Add the commands; ``command`` makes one that has ``--json``."""
    evaluate = command(commands, "evaluate", "Evaluate a model on the test products.", evaluate_model)
    add_model(evaluate, bare=True)
    add_ranged(
        evaluate,
        RANGES,
        EvaluationOptions(),
        k="number of neighbours for precision@k and hit rate@k",
        bootstrap="number of resamples for the 95 %% confidence intervals",
        precision_target="precision that the match threshold should reach",
        seed="random seed",
    )
    evaluate.add_argument(
        "--without-duplicates", action="store_true", help="exclude test products whose picture is also in the gallery"
    )
    evaluate.add_argument(
        "--robustness",
        action="store_true",
        help="also evaluate on rotated, cropped, darkened and recompressed pictures",
    )
    evaluate.add_argument(
        "--no-baselines",
        dest="baselines",
        action="store_false",
        help="skip the baselines: raw pixels, PCA and the original's network",
    )
    evaluate.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="MODEL",
        help="another model to include in the tables; repeatable",
    )
    evaluate.set_defaults(show=evaluation_as_lines)
    compare = command(commands, "compare", "Compare two evaluated models on the same test products.", compare_models)
    add_model(compare, bare=True)
    add_model(compare, flag="--against", help_text="name of the model to compare it with", bare=True, required=True)
    compare.set_defaults(show=comparison_as_lines)


def evaluate_model(options: argparse.Namespace, settings: Settings) -> Result:
    """``evaluate``."""
    request = EvaluateRequest(
        model=options.model,
        k=options.k,
        bootstrap=options.bootstrap,
        without_duplicates=options.without_duplicates,
        robustness=options.robustness,
        baselines=options.baselines,
        against=tuple(options.against),
        precision_target=options.precision_target,
        seed=options.seed,
    )
    request.options.check()
    return carry_out(request, settings)


def compare_models(options: argparse.Namespace, settings: Settings) -> Result:
    """``compare``."""
    from backend.evaluation.compare import compare_bundles
    from backend.flow.named import model_folder

    found = compare_bundles(*(model_folder(settings, name) for name in (options.model, options.against)))
    lists = {name: list(getattr(found, name)[:_SHOWN_QUERIES]) for name in ("gained", "lost", "both_wrong")}
    counts = {f"n_{name}": len(getattr(found, name)) for name in lists}
    return {**asdict(found), **lists, **counts, "notes": list(found.notes)}


def evaluation_as_lines(result: Result) -> str:
    """Show the tables of an evaluation to a person."""
    lines = [f"model: {result['model']}", *_table("Test products of the classes it was trained on", result["table"])]
    for changed in result.get("robustness", []):
        lines += _table(f"Pictures {changed['change'] or 'as they are'}", changed["rows"])
    if "unseen" in result:
        classes = ", ".join(result["unseen"]["classes"])
        lines += _table(f"Unseen classes among themselves ({classes})", result["unseen"]["among"])
        lines += _table("Unseen classes in the mixed gallery", result["unseen"]["mixed"])
    lines += [f"note: {note}" for note in result["notes"]]
    rest = {name: result[name] for name in ("left_out", "calibration", "seconds") if result.get(name) not in (None, 0)}
    return "\n".join([*lines, as_lines(rest)])


def comparison_as_lines(result: Result) -> str:
    """Show a comparison to a person."""
    lines = [f"{result['second']} minus {result['first']}, on {result['queries']:,} test products:"]
    for name, rate in result["rates"].items():
        apart = rate["difference"]
        interval = f"{apart['value']:+.4f} [{apart['low']:+.4f}, {apart['high']:+.4f}]"
        lines.append(f"  {_title(name):14} {rate['first']['value']:.4f}  {rate['second']['value']:.4f}  {interval}")
    lines.append(
        f"only {result['second']} is right: {result['n_gained']:,}, only {result['first']}: {result['n_lost']:,}"
    )
    return "\n".join([*lines, *(f"note: {note}" for note in result["notes"])])


def _table(title: str, rows: list[Result]) -> list[str]:
    if not rows:
        return []
    width = max(len(row["name"]) for row in rows)
    names = [name for name in RATE_TITLES if name in rows[0]]
    head = f"  {'':{width}}  " + "  ".join(f"{_title(name):>22}" for name in names)
    body = [f"  {row['name']:{width}}  " + "  ".join(f"{_interval(row[name]):>22}" for name in names) for row in rows]
    return [f"{title}, {rows[0]['queries']:,} queries:", head, *body]


def _interval(rate: Result) -> str:
    return f"{rate['value']:.4f} [{rate['low']:.3f}, {rate['high']:.3f}]"


def _title(name: str) -> str:
    return RATE_TITLES[name].format(k="k")
