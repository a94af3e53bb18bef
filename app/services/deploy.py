"""What the Deploy page asks of the backend: the registry's ledger, golden queries, tokens, and how the endpoint is.

Everything is read from files of the home, or from the endpoint; MLflow is left to the jobs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.services import common
from backend.access.edges import account
from backend.errors import RegistryError, SettingsError
from backend.registry import golden
from backend.registry.ledger import CHAMPION, Ledger, read_ledger
from backend.serving.scoring_client import is_scoring_url
from backend.serving.tokens import APP, SCOPES, TokenEntry, token_store
from backend.serving.transport import is_loopback

if TYPE_CHECKING:
    from backend.registry.golden import GoldenQuery
    from backend.serving.client import Answer
    from backend.serving.tokens import Scope


@dataclass(frozen=True, slots=True)
class Health:
    """How the endpoint is: seconds since its start, requests and refusals, and its answers' times in ms where known."""

    uptime_s: float
    requests: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token as the page lists it, with the person whose role it needs; times are ISO, empty for never."""

    entry: TokenEntry
    person: str
    is_good: bool
    last_used_at: str


def ledger() -> Ledger:
    """The registered versions and how the aliases moved.

    Raises:
        RegistryError: The file is damaged.
    """
    found = common.settings()
    return read_ledger(found.home, found.model_name)


def answers_from(catalogue: str) -> bool:
    """Whether it is this catalogue that answers come from."""
    champion = ledger().at(CHAMPION)
    return champion is not None and champion.card is not None and champion.card.catalogue.name == catalogue


def is_building(model: str) -> bool:
    """Whether a job builds the index of a model now."""
    return any(job.request.get("model") == model for job in common.jobs().list(-1, kind="index", active=True))


@st.cache_resource(ttl=common.FRESH_S, max_entries=1, show_spinner=False)
def health() -> Health | None:
    """How the endpoint is; None where it does not say.

    Raises:
        EndpointError: The endpoint does not answer, the token is wrong, or no model is served yet.
    """
    raw = common.status_client().health()
    answers: dict[str, Any] | None = raw.get("answers")
    if answers is None:
        return None
    return Health(raw["uptime_s"], *(answers[name] for name in ("requests", "errors", "p50_ms", "p95_ms")))


def is_plain_mlflow() -> bool:
    """Whether the app asks a plain MLflow server, which says nothing about itself."""
    return is_scoring_url(common.settings().effective_endpoint_url)


def is_local() -> bool:
    """Whether the endpoint is the one of this home, whose tokens are made here."""
    url = common.settings().endpoint_url
    return not is_plain_mlflow() and (not url or is_loopback(url))


def golden_queries() -> list[GoldenQuery]:
    """All golden queries, by name.

    Raises:
        RegistryError: A file is damaged.
    """
    return golden.golden_queries(common.settings().home)


def golden_query_of(image: bytes) -> GoldenQuery | None:
    """The golden query with this very picture; None where it was not approved.

    Raises:
        RegistryError: Its file is damaged.
    """
    return golden.golden_query_of(common.settings().home, image)


def approve(name: str, image: bytes, answer: Answer, products: list[str], labels: list[str], k: int) -> GoldenQuery:
    """Keep an answer as one that every new champion must give again.

    Raises:
        RegistryError: Nothing is expected of it, or more than it can hold.
    """
    known = golden_query_of(image)
    query = golden.GoldenQuery(
        name=name,
        catalogue=answer.catalogue,
        image=image,
        products=tuple(products),
        labels=tuple(labels),
        k=k,
        approved_with=_answered_by(answer),
        forbidden=tuple(one for one in known.forbidden if one not in products) if known else (),
    )
    return golden.approve(common.settings().home, query)


def mark(name: str, image: bytes, answer: Answer, product_id: str, *, is_similar: bool) -> GoldenQuery | None:
    """Mark a result as similar to a picture, or as not similar; a second time takes it back. Returns what is marked now.

    Raises:
        RegistryError: A rule added the product, or the picture is an example of another catalogue.
    """
    found = next(one for one in answer.neighbours if one.product_id == product_id)
    if is_similar and found.rules and found.rank_before is None:
        raise RegistryError(
            "A rule added this product to the answer.", next_step="Mark products that the search found."
        )
    k = max(found.rank, found.rank_before or 0) if is_similar else len(answer.neighbours)
    asked = golden.GoldenQuery(name, answer.catalogue, image, (), (), k, approved_with=_answered_by(answer))
    return golden.mark(common.settings().home, asked, product_id, is_similar=is_similar)


def _answered_by(answer: Answer) -> str:
    return f"{answer.model_name} version {answer.model_version}"


def give_up(query_id: str) -> None:
    """Expect nothing of a golden query any more.

    Raises:
        RegistryError: It is gone already.
    """
    golden.remove(common.settings().home, query_id)


def tokens() -> list[TokenRow]:
    """All tokens of the local endpoint, the app's own last.

    Raises:
        SettingsError: Their file is damaged.
    """
    store = token_store(common.settings())
    used, good = store.last_used(), set(store.names())
    rows = [
        TokenRow(entry, entry.person or account(), entry.name in good, used.get(entry.name, ""))
        for entry in store.entries()
    ]
    return sorted(rows, key=lambda row: (row.entry.name == APP, row.entry.name))


def issue_token(name: str, scope: Scope, days: float | None) -> str:
    """Make a token and return it, this once.

    Raises:
        SettingsError: Name, scope or days cannot be used; the widest scope comes from the command line only.
    """
    if scope == SCOPES[-1]:
        raise SettingsError(
            f"A token with the scope {scope} cannot be created here.",
            next_step=f"Run `python -m backend tokens issue {name} --scope {scope}`.",
        )
    return token_store(common.settings()).issue(name, scope=scope, days=days).reveal()


def revoke_token(name: str) -> None:
    """Void a token at once."""
    token_store(common.settings()).revoke(name)


def ask(image: bytes, k: int) -> tuple[Answer, float]:
    """Ask the endpoint about a picture; returns the answer and how long it took from here, in seconds.

    Raises:
        EndpointError: It could not answer, or refused the picture.
    """
    started = time.perf_counter()
    answer = common.endpoint().recommend(image, k=k)
    return answer, time.perf_counter() - started
