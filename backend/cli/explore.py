"""The commands that draw maps and read them: ``project`` one, ``explore`` what it tells."""

from __future__ import annotations

import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli.options import add_model, add_ranged
from backend.cli.running import carry_out
from backend.files.storage import write_export
from backend.flow.requests import ProjectRequest
from backend.imaging.refusals import FORMATS_READ
from backend.projection.lists import LIST_KINDS
from backend.projection.options import ENGINES, RANGES, ProjectionOptions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.settings import Settings

Result = dict[str, Any]


def add_explore(commands: Any, command: Callable[..., Any]) -> None:
    """Add the commands; ``command`` makes one that has ``--json``."""
    project = command(commands, "project", "Draw a map of a model's gallery with UMAP, in 2-D and 3-D.", project_model)
    add_model(project, bare=True)
    add_ranged(
        project,
        RANGES,
        ProjectionOptions(),
        neighbours="neighbours of each product that the map keeps together",
        min_distance="smallest distance between products on the map",
        seed="random seed; another seed gives another layout",
    )
    project.add_argument(
        "--supervised", action="store_true", help="use the labels to pull products of one kind together"
    )
    project.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help=f"what draws the map: Twinset's own UMAP, or umap-learn, the slower reference; default {ENGINES[0]}",
    )
    explore = commands.add_parser("explore", help="read maps; find outliers, hubs and duplicates; keep lists")
    actions = explore.add_subparsers(required=True, metavar="ACTION")
    _add_reading(actions, command)
    _add_lists(actions, command)


def _add_reading(actions: Any, command: Callable[..., Any]) -> None:
    for name, help_text, handler in (
        ("maps", "List the maps of a model, newest first.", maps),
        ("outliers", "List the products farthest from the centre of their label.", outliers),
        ("overlap", "List the pairs of labels that share the most neighbours.", overlap),
        ("hubs", "List the products that are recommended too often, or never.", hubs),
        ("duplicates", "List groups of products with nearly the same embedding.", duplicates),
        ("neighbours", "Show a product's nearest neighbours beside those on the map.", neighbours),
        ("place", "Show where a photo is on the map; uses the endpoint.", place),
    ):
        one = command(actions, name, help_text, handler)
        if name == "neighbours":
            one.add_argument("product_id")
        if name == "place":
            one.add_argument("photo", help=f"a {FORMATS_READ} file")
        add_model(one)
        if name != "maps":
            one.add_argument("-n", type=int, default=20, help="number of results, default 20")
        if name == "duplicates":
            one.add_argument(
                "--distance",
                type=float,
                default=0.002,
                help="largest cosine distance between duplicates, default 0.002",
            )


def _add_lists(actions: Any, command: Callable[..., Any]) -> None:
    command(actions, "lists", "List the saved lists, newest first.", lists)
    save = command(actions, "save", "Save products as a named list.", save_products)
    save.add_argument("name", metavar="LIST")
    save.add_argument("products", nargs="+", metavar="PRODUCT_ID")
    add_model(save)
    save.add_argument("--kind", choices=LIST_KINDS, default="list", help="what the list is for, default list")
    export = command(actions, "export", "Print a list, or write it to a file.", export_list)
    export.add_argument("name", metavar="LIST")
    export.add_argument(
        "--to", type=Path, default=None, metavar="FILE", help="a .csv or .json file; default: print only"
    )
    command(actions, "delete", "Delete a list.", delete).add_argument("name", metavar="LIST")


def project_model(options: argparse.Namespace, settings: Settings) -> Result:
    """``project``."""
    names = [item.name for item in fields(ProjectionOptions)]
    request = ProjectRequest(options.model, **{name: getattr(options, name) for name in names})
    request.options.check()
    return carry_out(request, settings)


def maps(options: argparse.Namespace, settings: Settings) -> Result:
    """``explore maps``."""
    from backend.flow.named import model_folder
    from backend.projection.maps import list_maps

    folder = model_folder(settings, options.model)
    return {"model": folder.name, "maps": [asdict(info) for info in list_maps(settings.maps_dir / folder.name)]}


def outliers(options: argparse.Namespace, settings: Settings) -> Result:
    """``explore outliers``."""
    from backend.projection import insight

    found = _reading(options, settings)
    rows = [
        {**_product(found, one.position), "distance": one.distance, "strength": one.strength}
        for one in insight.outliers(found.vectors, found.labels, options.n)
    ]
    return {"model": found.model, "outliers": rows}


def overlap(options: argparse.Namespace, settings: Settings) -> Result:
    """``explore overlap``: the pairs of labels that share most neighbours."""
    from backend.projection import insight

    reading = _reading(options, settings)
    found = insight.overlap(reading.vectors, reading.labels, reading.graph)
    pairs = [
        {"label": first, "other": second, "share": float(found.shares[i, j]), "distance": float(found.distances[i, j])}
        for i, first in enumerate(found.labels)
        for j, second in enumerate(found.labels)
        if i != j
    ]
    return {"model": reading.model, "pairs": sorted(pairs, key=_share, reverse=True)[: options.n]}


def _share(pair: Result) -> float:
    return float(pair["share"])


def hubs(options: argparse.Namespace, settings: Settings) -> Result:
    """``explore hubs``."""
    from backend.projection import insight

    reading = _reading(options, settings)
    found = insight.hubs(reading.graph)
    most = [{**_product(reading, at), "lists": int(found.occurrences[at])} for at in found.most(options.n)]
    never = [_product(reading, at) for at in found.forgotten(options.n)]
    figures = {"k": found.k, "never": found.never, "skewness": found.skewness}
    return {"model": reading.model, **figures, "most": most, "never_recommended": never}


def duplicates(options: argparse.Namespace, settings: Settings) -> Result:
    """``explore duplicates``."""
    from backend.projection import insight

    reading = _reading(options, settings)
    groups = insight.near_duplicates(reading.graph, options.distance)
    shown = [[str(reading.ids[at]) for at in group] for group in groups[: options.n]]
    return {"model": reading.model, "distance": options.distance, "groups": shown, "count": len(groups)}


def neighbours(options: argparse.Namespace, settings: Settings) -> Result:
    """``explore neighbours``."""
    found = _reading(options, settings)
    true, on_map = found.neighbours_of(options.product_id, options.n)
    return {
        "model": found.model,
        "product_id": options.product_id,
        "neighbours": [{**_product(found, at), "similarity": similar} for at, similar in true],
        "on_the_map": [_product(found, at) for at in on_map],
    }


def place(options: argparse.Namespace, settings: Settings) -> Result:
    """``explore place``."""
    from backend.errors import ImageRejected
    from backend.machine.supervisor import endpoint_running
    from backend.serving.clients import local_client

    photo = Path(options.photo)
    if not photo.is_file():
        raise ImageRejected(f"There is no file {photo}.", code="not_found", next_step="Check the path.")
    found = _reading(options, settings)
    with endpoint_running(settings):
        answer = local_client(settings).recommend(photo.read_bytes(), k=found.k, include_images=False)
    pairs = [(neighbour.product_id, neighbour.distance) for neighbour in answer.neighbours]
    placed = {f"{size}-D": found.place(pairs, size, answered_by=answer.model) for size in (2, 3)}
    near = [{"product_id": name, "distance": distance} for name, distance in pairs[: options.n]]
    return {"photo": str(photo), "model": found.model, "map": found.map_key, "position": placed, "neighbours": near}


def lists(_options: argparse.Namespace, settings: Settings) -> Result:
    """``explore lists``."""
    from backend.projection.lists import saved_lists

    shown = ("name", "kind", "model", "catalogue", "created_at")
    found = saved_lists(settings.lists_dir)
    return {"lists": [{**{name: getattr(one, name) for name in shown}, "products": len(one.products)} for one in found]}


def save_products(options: argparse.Namespace, settings: Settings) -> Result:
    """``explore save``."""
    from backend.projection.lists import SavedList, listed, save_list

    found = _reading(options, settings, needs_map=False)
    labels = [found.label_of(name) for name in options.products]
    name, version = found.catalogue
    chosen = SavedList(options.name, options.kind, found.model, name, version, listed(options.products, labels))
    kept = save_list(settings.lists_dir, chosen)
    return {"name": kept.name, "kind": kept.kind, "products": len(kept.products), "labels": list(kept.labels)}


def export_list(options: argparse.Namespace, settings: Settings) -> Result:
    """``explore export``."""
    from backend.merchandising.products import handed_out
    from backend.projection.lists import load_list

    found = load_list(settings.lists_dir, options.name)
    if options.to is not None:
        make = found.to_csv if options.to.suffix == ".csv" else found.to_json
        write_export(options.to, handed_out(make, list=options.name).encode())
        print(f"Written to {options.to}.", file=sys.stderr)
    return asdict(found)


def delete(options: argparse.Namespace, settings: Settings) -> Result:
    """``explore delete``."""
    from backend.projection.lists import delete_list

    delete_list(settings.lists_dir, options.name)
    return {"deleted": options.name}


def _reading(options: argparse.Namespace, settings: Settings, *, needs_map: bool = True) -> Any:
    from backend.flow.named import model_folder
    from backend.projection.reading import open_reading

    folder = model_folder(settings, options.model)
    return open_reading(folder, settings.maps_dir / folder.name, needs_map=needs_map)


def _product(found: Any, position: int) -> Result:
    return {"product_id": str(found.ids[position]), "label": str(found.labels[position])}
