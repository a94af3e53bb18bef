"""The command ``index``: build one, bring it up to date, measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.cli.options import add_model
from backend.cli.running import carry_out
from backend.errors import UsageError
from backend.flow.requests import FidelityRequest, IndexRequest, ReadyMadeRequest, RefreshRequest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.settings import Settings

Result = dict[str, Any]


def add_index(commands: Any, command: Callable[..., Any]) -> None:
    """Add the command and its actions; ``command`` makes one that has ``--json``."""
    build = command(commands, "index", "Embed the gallery and build a model's index.", build_index)
    add_model(build)
    build.add_argument(
        "--kind", choices=("exact", "approximate"), default="", help="kind of index; default: the model's present kind"
    )
    build.add_argument("--newest", action="store_true", help="use the newest version of the catalogue")
    build.add_argument(
        "--ready-made",
        action="store_true",
        help="answer with a catalogue's products without any training, and deploy it",
    )
    build.add_argument("--catalogue", default="", metavar="CATALOGUE", help="with --ready-made: the catalogue")
    build.add_argument(
        "--name", default="", help="with --ready-made: name of the new model; default: from the catalogue's"
    )
    build.add_argument(
        "--replace-catalogue",
        action="store_true",
        help="with --ready-made: publish it even if the champion answers from another catalogue",
    )
    actions = build.add_subparsers(metavar="ACTION")
    refresh = command(
        actions, "refresh", "Embed only what changed in the catalogue, and deploy the result.", refresh_index
    )
    add_model(refresh)
    refresh.add_argument("--alias", default="champion", help="deploy if this model has this alias, default champion")
    refresh.add_argument("--no-deploy", action="store_true", help="do not deploy the result")
    behind = command(actions, "behind", "Show how far an index lags behind its catalogue.", show_behind)
    add_model(behind)
    fidelity = command(
        actions, "fidelity", "Compare both kinds of index: share of true neighbours found, and time.", measure_fidelity
    )
    add_model(fidelity)
    fidelity.add_argument("-k", type=int, default=10, help="number of neighbours, default 10")
    fidelity.add_argument("--queries", type=int, default=1_000, help="number of queries, default 1,000")
    fidelity.set_defaults(show=fidelity_as_lines)


def build_index(options: argparse.Namespace, settings: Settings) -> Result:
    """``index``.

    Raises:
        UsageError: What is given does not go together.
    """
    own = {"--catalogue": options.catalogue, "--name": options.name, "--replace-catalogue": options.replace_catalogue}
    others = {"--model": options.model, "--newest": options.newest} if options.ready_made else own
    if given := [name for name, value in others.items() if value]:
        goes = "does not go with" if options.ready_made else "needs"
        raise UsageError(f"{given[0]} {goes} --ready-made.", next_step="See `python -m backend index --help`.")
    if not options.ready_made:
        return carry_out(IndexRequest(model=options.model, index_kind=options.kind, newest=options.newest), settings)
    if not options.catalogue:
        raise UsageError("No catalogue is named.", next_step="Add --catalogue NAME.")
    request = ReadyMadeRequest(
        options.catalogue, name=options.name, index_kind=options.kind, replace_catalogue=options.replace_catalogue
    )
    return carry_out(request, settings)


def refresh_index(options: argparse.Namespace, settings: Settings) -> Result:
    """``index refresh``."""
    request = RefreshRequest(model=options.model, alias=options.alias, deploy=not options.no_deploy)
    return carry_out(request, settings)


def show_behind(options: argparse.Namespace, settings: Settings) -> Result:
    """``index behind``.

    Raises:
        RetrievalError: The model has no index yet.
        CatalogueNotFound: Its catalogue is not here.
    """
    from backend.bundles import bundle
    from backend.errors import CatalogueNotFound
    from backend.flow.named import model_folder
    from backend.retrieval.freshness import index_behind
    from backend.retrieval.indexes.kinds import no_index

    folder = model_folder(settings, options.model)
    info = bundle.read_manifest(folder).index
    if info is None:
        raise no_index(folder)
    found = index_behind(settings.catalogues_dir, info)
    if found is None:
        raise CatalogueNotFound(
            f"Version {info.catalogue.version} of the catalogue {info.catalogue.name} is not on this machine.",
            next_step="Run this on the machine that has it.",
        )
    return {"model": folder.name, **found.as_dict()}


def measure_fidelity(options: argparse.Namespace, settings: Settings) -> Result:
    """``index fidelity``."""
    return carry_out(FidelityRequest(model=options.model, k=options.k, queries=options.queries), settings)


def fidelity_as_lines(result: Result) -> str:
    """Show a report to a person."""
    lines = [f"{result['model']}: {result['size']:,} items, {result['queries']:,} queries, k {result['k']}"]
    for arm in result["arms"]:
        has_it = "  (in use)" if arm["is_served"] else ""
        lines.append(
            f"  {arm['kind']:12} fidelity {arm['fidelity']:.4f}  p50 {arm['p50_ms']:.3f} ms  p95 {arm['p95_ms']:.3f} ms"
            f"{has_it}"
        )
    return "\n".join(lines)
