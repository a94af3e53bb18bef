"""Text from a shop's file, on pages in a real browser: it is shown letter by letter, and makes no link, picture or request."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import expect

from backend.bundles import bundle
from backend.catalogue.snapshot import open_snapshot
from backend.flow import named as models
from backend.flow.evaluate import evaluate_step
from backend.flow.requests import EvaluateRequest
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import (
    KINDS,
    encoded,
    http_to,
    load_projection,
    picture,
    served,
    shop_rows,
    write_projection_bundle,
)
from tests.fixtures.projection import write_map
from tests.support.browsing import app_running
from tests.support.pages import answers, upload
from tests.ui.conftest import write_catalogue

pytestmark = pytest.mark.browser
ELSEWHERE = "http://127.0.0.1:9"
TITLE = f"`\n\n![t]({ELSEWHERE}/title.png)\n\n[Sign in again](http://evil.example)\n\n`"
LABELS = (
    f"![l]({ELSEWHERE}/label.png)",
    f"<a href='http://evil.example'>Bag</a><img src='{ELSEWHERE}/img.png'> %{{x}} $x^2$",
    "http://evil.example www.evil.example me@evil.example :smile: **x**",
)
REASON = f"None of the `{TITLE}` is usable: <b>no</b> ![r]({ELSEWHERE}/reason.png)"


def shown(text):
    """How a page shows a text: HTML makes one space of many."""
    return " ".join(text.split())


def rows(labels, title):
    splits = ("train",) * 6 + ("validation",) * 2 + ("test",) * 2
    named = dict(zip(KINDS, labels, strict=True))
    texts = {"title": title, "brand": LABELS[0], "colour": LABELS[2]}
    found = shop_rows()
    return [
        {**row, **texts, "label": named[row["label"]], "split": splits[at // len(KINDS) % len(splits)]}
        for at, row in enumerate(found)
    ]


def write_home(place, labels, title):
    """A home whose catalogue, model, evaluation, map and failed job hold such text; the model is not taught the last label."""
    settings = settings_for(place / "home")
    write_catalogue(settings, "shop", rows(labels, title))
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    folder = settings.models_dir / "mine"
    embedder = write_projection_bundle(folder)
    bundle.write_manifest(
        folder, replace(bundle.read_manifest(folder), catalogue=snapshot.ref, classes=tuple(sorted(labels)[:2]))
    )
    build_gallery(snapshot, embedder, folder, progress=NullProgress())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "load_network", lambda folder, manifest, _: load_projection(folder, manifest, threads=0))
        evaluate_step(EvaluateRequest("mine", bootstrap=100), settings, NullProgress())
    write_map(settings, "mine")
    store = JobStore(settings.jobs_db)
    job, _ = store.add("catalogue", {"source": "folder", "catalogue": "shop", "path": labels[0]})
    store.start(job.id, pid=1)
    store.finish(job.id, JobState.FAILED, error=REASON, next_step=REASON)
    return settings


def running(settings):
    ensure_app_token(settings)
    recommender = Recommender.load(settings.models_dir / "mine", embedder_loader=load_projection)
    return http_to(build_app(settings, load=lambda: served(recommender)))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    settings = write_home(tmp_path_factory.mktemp("hostile"), LABELS, TITLE)
    with running(settings) as client:
        settings = replace(settings, endpoint_url=str(client.base_url).rstrip("/"))
        with app_running(settings) as (found, _):
            yield found


@pytest.fixture
def watched(page, address):
    """A tab, and at the end the proof that it asked nobody but the app and made nothing of the text."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    page.get_by_test_id("stStatusWidget").wait_for(state="detached")
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(address).netloc}
    links = page.locator("a").evaluate_all(
        "them => them.map(a => a.getAttribute('href') ?? a.getAttribute('xlink:href'))"
    )
    assert not [link for link in links if link and "evil" in link]
    sources = page.locator("img, image").evaluate_all("them => them.map(one => one.src ?? one.getAttribute('href'))")
    assert not [source for source in sources if source and ELSEWHERE in source]
    assert (
        page.locator("main strong, main em, main del, main .katex").filter(has_text=re.compile("^(x|x2.*)$")).count()
        == 0
    )


def test_find_similar(watched, address):
    watched.goto(address)
    upload(watched, {"name": f"{LABELS[0]}.png", "mimeType": "image/png", "buffer": encoded(picture("checks", 3))})
    answers(watched).first.wait_for()
    expect(watched.get_by_text(f"{LABELS[0]}.png", exact=True).first).to_be_visible()
    answers(watched).first.locator("button").first.click()
    expect(watched.get_by_text(shown(TITLE), exact=True).first).to_be_visible()
    watched.locator("button.second").first.click()  # less like this: its id as a button


@pytest.mark.parametrize("view", ["Labels", "Rejected"])
def test_catalogue(watched, address, view):
    watched.goto(f"{address}/catalogue?catalogue=shop&view={view}")
    watched.get_by_role("tab", name=view, selected=True).wait_for()
    if view == "Labels":
        ticks = watched.locator(".js-plotly-plot .yaxislayer-above text, .js-plotly-plot .ytick text")
        expect(ticks.first).to_be_visible()
        assert {shown(text) for text in ticks.all_text_contents()} == {shown(label) for label in LABELS}


def test_train(watched, address):
    watched.goto(f"{address}/train?catalogue=shop")
    watched.get_by_role("button", name="Train").first.wait_for()


@pytest.mark.parametrize("view", ["Mistakes", "Unseen classes"])
def test_evaluate(watched, address, view):
    watched.goto(f"{address}/evaluate?model=mine&view={view}")
    watched.get_by_role("tab", name=view, selected=True).wait_for()
    if view == "Unseen classes":
        expect(watched.get_by_text(shown(sorted(LABELS)[2])).first).to_be_visible()
    if view == "Mistakes":
        marks = watched.locator(".js-plotly-plot .scatterlayer path.point")
        marks.first.hover(force=True)
        told = watched.locator(".hoverlayer .hovertext")
        expect(told.first).to_be_visible()
        assert sum(shown(label) in shown(told.first.text_content()) for label in LABELS) >= 1
        box = marks.first.bounding_box()
        watched.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        watched.locator("ol.grid > li").first.wait_for()  # what a mark carries is the label as it is


@pytest.mark.parametrize("view", ["Map", "Overlap"])
def test_explore(watched, address, view):
    watched.goto(f"{address}/explore?model=mine&view={view}&colour=label&point=s020")
    watched.get_by_role("tab", name=view, selected=True).wait_for()
    if view == "Map":
        watched.locator(".twinset-map[data-drawn]").first.wait_for()
        legend = watched.locator(".twinset-map .legendtext")
        assert {shown(text) for text in legend.all_text_contents()} >= {shown(label) for label in LABELS}
        expect(watched.get_by_text(shown(TITLE), exact=True).first).to_be_visible()


def test_jobs(watched, address):
    watched.goto(f"{address}/jobs")
    watched.get_by_text("Loading products").first.wait_for()


@pytest.mark.slow
def test_the_stored_file_of_such_text(page, tmp_path, security_case):
    """Titles and labels of the real file."""
    with security_case("repro_markdown.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    labels = (*sorted({row["label"] for row in read}), "Other")[:3]
    settings = write_home(tmp_path, labels, read[0]["title"])
    with running(settings) as client:
        settings = replace(settings, endpoint_url=str(client.base_url).rstrip("/"))
        with app_running(settings) as (address, _):
            asked = []
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"{address}/?product={quote('s020')}")
            answers(page).first.wait_for()
            expect(page.get_by_text(shown(read[0]["title"]), exact=True).first).to_be_visible()
            for name in (
                "catalogue?catalogue=shop",
                "train?catalogue=shop",
                "evaluate?model=mine",
                "explore?model=mine",
            ):
                page.goto(f"{address}/{name}")
                page.get_by_test_id("stStatusWidget").wait_for(state="detached")
            assert not [url for url in asked if "9666" in url]
