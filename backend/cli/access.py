"""The commands about who may ask, and what must be answered: ``sign-in``, ``tokens`` and ``golden``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.access.edges import account, new_address
from backend.access.sign_ins import ADDRESS_HOURS
from backend.access.way_in import way_in
from backend.cli.options import add_model
from backend.errors import ImageRejected, SettingsError
from backend.imaging.refusals import FORMATS_READ
from backend.serving.tokens import APP, SCOPES, token_store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.registry.golden import GoldenQuery
    from backend.settings import Settings

Result = dict[str, Any]
USUAL_DAYS = 90.0
_EXPECTED = 3  # products expected again where none are named


def add_access(commands: Any, command: Callable[..., Any]) -> None:
    """Add the commands; ``command`` makes one that has ``--json``."""
    signing = command(commands, "sign-in", "Print a one-time address that signs in to the app.", sign_in)
    signing.add_argument("--as", dest="person", default="", metavar="NAME", help="for this person; default: yourself")
    _add_tokens(commands, command)
    _add_golden(commands, command)


def _add_tokens(commands: Any, command: Callable[..., Any]) -> None:
    tokens = commands.add_parser("tokens", help="manage the tokens of the endpoint")
    actions = tokens.add_subparsers(required=True, metavar="ACTION")
    command(actions, "list", "List the tokens with scope, expiry and last use.", tokens_list)
    issue = command(actions, "issue", "Issue a token; it is printed only this once.", tokens_issue)
    issue.add_argument("name", help="who it is for; replaces an earlier token with that name")
    issue.add_argument("--scope", choices=SCOPES, default="ask", help="what it allows, default ask")
    issue.add_argument(
        "--days", type=float, default=USUAL_DAYS, help="days until it expires, default 90; 0 means never"
    )
    command(actions, "revoke", "Revoke a token immediately.", tokens_revoke).add_argument(
        "name", help="name of the token"
    )


def _add_golden(commands: Any, command: Callable[..., Any]) -> None:
    golden = commands.add_parser("golden", help="manage golden queries: answers that every new champion must give")
    actions = golden.add_subparsers(required=True, metavar="ACTION")
    command(actions, "list", "List the golden queries.", golden_list)
    approve = command(actions, "approve", "Send a photo to the endpoint and approve its answer.", golden_approve)
    approve.add_argument("photo", help=f"a {FORMATS_READ} file")
    approve.add_argument("--name", default="", help="its name; default: the file name")
    approve.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="PRODUCT",
        help="id of a product that must be among the answers; repeatable",
    )
    approve.add_argument(
        "--label", action="append", default=[], help="label of the nearest product; repeatable, one of them must match"
    )
    approve.add_argument("-k", type=int, default=10, help="number of answers to check, default 10")
    command(actions, "remove", "Remove a golden query.", golden_remove).add_argument(
        "id", help="id of the golden query"
    )
    replaying = command(actions, "replay", "Run all golden queries of its catalogue against a model.", golden_replay)
    add_model(replaying)


def sign_in(options: argparse.Namespace, settings: Settings) -> Result:
    """``sign-in``."""
    if (way := way_in(settings)) != "address":
        raise SettingsError(
            f"Users do not sign in by address: TWINSET_SIGN_IN is {way}.",
            next_step="Set TWINSET_SIGN_IN to address, then start the app again.",
        )
    return {"address": new_address(settings, options.person), "hours": ADDRESS_HOURS}


def tokens_list(_options: argparse.Namespace, settings: Settings) -> Result:
    """``tokens list``."""
    store = token_store(settings)
    mine = account()
    used, good = store.last_used(), store.names()
    shown = ("name", "scope", "created_at", "expires_at")
    return {
        "tokens": [
            {name: getattr(entry, name) for name in shown}
            | {"person": entry.person or mine, "last_used_at": used.get(entry.name, ""), "good": entry.name in good}
            for entry in store.entries()
        ]
    }


def tokens_issue(options: argparse.Namespace, settings: Settings) -> Result:
    """``tokens issue``."""
    if options.name == APP:
        raise SettingsError("The app creates its own token.", next_step="Choose another name.")
    token = token_store(settings).issue(options.name, scope=options.scope, days=options.days or None)
    return {"name": options.name, "scope": options.scope, "days": options.days or None, "token": token.reveal()}


def tokens_revoke(options: argparse.Namespace, settings: Settings) -> Result:
    """``tokens revoke``."""
    if not token_store(settings).revoke(options.name):
        raise SettingsError(f"There is no token for {options.name}.", next_step="See `python -m backend tokens list`.")
    return {"revoked": options.name}


def golden_list(_options: argparse.Namespace, settings: Settings) -> Result:
    """``golden list``."""
    from backend.registry.golden import golden_queries

    return {"golden": [_as_result(query) for query in golden_queries(settings.home)]}


def golden_approve(options: argparse.Namespace, settings: Settings) -> Result:
    """``golden approve``."""
    from backend.machine.supervisor import endpoint_running
    from backend.registry.golden import GoldenQuery, approve
    from backend.serving.clients import local_client

    photo = Path(options.photo)
    if not photo.is_file():
        raise ImageRejected(f"There is no file {photo}.", code="not_found", next_step="Check the path.")
    image = photo.read_bytes()
    with endpoint_running(settings):
        answer = local_client(settings).recommend(image, k=options.k, include_images=False)
    nearest = tuple(one.product_id for one in answer.neighbours[:_EXPECTED])
    expected = tuple(options.expect) or (() if options.label else nearest)
    query = GoldenQuery(
        name=options.name or photo.name,
        catalogue=answer.catalogue,
        image=image,
        products=expected,
        labels=tuple(options.label),
        k=options.k,
        approved_with=f"{answer.model_name} version {answer.model_version}",
    )
    return _as_result(approve(settings.home, query))


def golden_remove(options: argparse.Namespace, settings: Settings) -> Result:
    """``golden remove``."""
    from backend.registry.golden import remove

    remove(settings.home, options.id)
    return {"removed": options.id}


def golden_replay(options: argparse.Namespace, settings: Settings) -> Result:
    """``golden replay``."""
    from backend.flow.named import model_folder
    from backend.registry.gate import replay_on

    folder = model_folder(settings, options.model)
    found = replay_on(settings, folder)
    return {"model": folder.name, "passed": all(one.passed for one in found), "golden": [asdict(one) for one in found]}


def _as_result(query: GoldenQuery) -> Result:
    shown = ("id", "name", "catalogue", "k", "approved_at", "approved_with")
    listed = {"products": ", ".join(query.products), "labels": ", ".join(query.labels)}
    listed["forbidden"] = ", ".join(query.forbidden)
    return {name: getattr(query, name) for name in shown} | listed
