"""What the endpoint counts: the figures and names that were told before, from any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backend.serving.metrics import Answers, Metrics

SEEN = [
    ("/v1/recommend", "POST", 200, 0.012),
    ("/v1/recommend", "POST", 415, 0.0005),
    ("/v1/recommend", "POST", 200, 0.3),
    ("other", "GET", 404, 0.005),  # a bucket's edge belongs to it
    ("/health", "GET", 200, 12.5),
]
GAUGES = {"model_loaded": 1.0, "gallery_items": 60.0}
INFO = {"name": 'a "quoted" \\ name\nin two lines', "version": "1"}
# What the code that wrote the format itself told of the very same.
BEFORE = r"""
# HELP twinset_requests_total Requests answered.
# TYPE twinset_requests_total counter
twinset_requests_total{route="/health",method="GET",status="200"} 1
twinset_requests_total{route="/v1/recommend",method="POST",status="200"} 2
twinset_requests_total{route="/v1/recommend",method="POST",status="415"} 1
twinset_requests_total{route="other",method="GET",status="404"} 1
# HELP twinset_errors_total Requests refused or failed.
# TYPE twinset_errors_total counter
twinset_errors_total{route="/v1/recommend",status="415"} 1
twinset_errors_total{route="other",status="404"} 1
# HELP twinset_request_seconds Seconds from the first byte to the answer.
# TYPE twinset_request_seconds histogram
twinset_request_seconds_bucket{route="/health",le="0.005"} 0
twinset_request_seconds_bucket{route="/health",le="0.01"} 0
twinset_request_seconds_bucket{route="/health",le="0.025"} 0
twinset_request_seconds_bucket{route="/health",le="0.05"} 0
twinset_request_seconds_bucket{route="/health",le="0.1"} 0
twinset_request_seconds_bucket{route="/health",le="0.25"} 0
twinset_request_seconds_bucket{route="/health",le="0.5"} 0
twinset_request_seconds_bucket{route="/health",le="1"} 0
twinset_request_seconds_bucket{route="/health",le="2.5"} 0
twinset_request_seconds_bucket{route="/health",le="5"} 0
twinset_request_seconds_bucket{route="/health",le="10"} 0
twinset_request_seconds_bucket{route="/health",le="+Inf"} 1
twinset_request_seconds_sum{route="/health"} 12.5
twinset_request_seconds_count{route="/health"} 1
twinset_request_seconds_bucket{route="/v1/recommend",le="0.005"} 1
twinset_request_seconds_bucket{route="/v1/recommend",le="0.01"} 1
twinset_request_seconds_bucket{route="/v1/recommend",le="0.025"} 2
twinset_request_seconds_bucket{route="/v1/recommend",le="0.05"} 2
twinset_request_seconds_bucket{route="/v1/recommend",le="0.1"} 2
twinset_request_seconds_bucket{route="/v1/recommend",le="0.25"} 2
twinset_request_seconds_bucket{route="/v1/recommend",le="0.5"} 3
twinset_request_seconds_bucket{route="/v1/recommend",le="1"} 3
twinset_request_seconds_bucket{route="/v1/recommend",le="2.5"} 3
twinset_request_seconds_bucket{route="/v1/recommend",le="5"} 3
twinset_request_seconds_bucket{route="/v1/recommend",le="10"} 3
twinset_request_seconds_bucket{route="/v1/recommend",le="+Inf"} 3
twinset_request_seconds_sum{route="/v1/recommend"} 0.3125
twinset_request_seconds_count{route="/v1/recommend"} 3
twinset_request_seconds_bucket{route="other",le="0.005"} 1
twinset_request_seconds_bucket{route="other",le="0.01"} 1
twinset_request_seconds_bucket{route="other",le="0.025"} 1
twinset_request_seconds_bucket{route="other",le="0.05"} 1
twinset_request_seconds_bucket{route="other",le="0.1"} 1
twinset_request_seconds_bucket{route="other",le="0.25"} 1
twinset_request_seconds_bucket{route="other",le="0.5"} 1
twinset_request_seconds_bucket{route="other",le="1"} 1
twinset_request_seconds_bucket{route="other",le="2.5"} 1
twinset_request_seconds_bucket{route="other",le="5"} 1
twinset_request_seconds_bucket{route="other",le="10"} 1
twinset_request_seconds_bucket{route="other",le="+Inf"} 1
twinset_request_seconds_sum{route="other"} 0.005
twinset_request_seconds_count{route="other"} 1
# HELP twinset_model_loaded Model loaded.
# TYPE twinset_model_loaded gauge
twinset_model_loaded 1
# HELP twinset_gallery_items Gallery items.
# TYPE twinset_gallery_items gauge
twinset_gallery_items 60
# HELP twinset_model_info What is served.
# TYPE twinset_model_info gauge
twinset_model_info{name="a \"quoted\" \\ name\nin two lines",version="1"} 1
"""


def told(text):
    """Every sample by name and labels; a bucket's edge as a number, for 1 and 1.0 are the same to Prometheus."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {key: float(value) if key == "le" else value for key, value in sample.labels.items()}
            key = (sample.name, tuple(sorted(labels.items())))
            assert key not in found, key
            found[key] = (family.type, family.documentation, sample.value)
    return found


@pytest.fixture
def metrics():
    counted = Metrics()
    for seen in SEEN:
        counted.observe(*seen)
    return counted


def test_names_labels_and_figures_are_those_that_were_told_before(metrics):
    before, now = told(BEFORE), told(metrics.as_text(GAUGES, INFO))
    assert len(before) == 4 + 2 + 3 * 14 + 2 + 1
    assert now.keys() == before.keys()
    for key, (kind, text, value) in before.items():
        assert now[key][:2] == (kind, text)
        assert now[key][2] == pytest.approx(value, rel=1e-5), key  # six digits were written


def test_large_figures_keep_their_digits(metrics):
    assert "twinset_resident_memory_bytes 1.234567891e+09" in metrics.as_text({"resident_memory_bytes": 1234567891}, {})


def test_two_ways_of_asking_one_address_are_one_count_of_errors(metrics):
    metrics.observe("/v1/recommend", "GET", 415, 0.1)
    assert (
        told(metrics.as_text({}, {}))["twinset_errors_total", (("route", "/v1/recommend"), ("status", "415"))][2] == 2
    )


def test_nothing_is_told_of_another_endpoint_or_of_the_library():
    assert {name for name, _ in told(Metrics().as_text({}, {}))} == {"twinset_model_info"}


def test_how_answers_are_counts_all_and_times_the_good_ones(metrics):
    assert metrics.answers(["/v1/recommend", "other"]) == Answers(4, 2, 2, 156.0, 300.0)
    assert metrics.answers(["/v1/reload"]) == Answers(0, 0, 0, None, None)


def test_no_count_is_lost_between_threads():
    metrics = Metrics()

    def ask(number):
        for status in (200, 404):
            metrics.observe("/ping", "GET", status, 0.001 * number)
            metrics.answers(["/ping"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(400)))
    answers = metrics.answers(["/ping"])
    assert (answers.requests, answers.errors, answers.recent) == (800, 400, 400)
    key = (("le", float("inf")), ("route", "/ping"))
    assert told(metrics.as_text({}, {}))["twinset_request_seconds_bucket", key][2] == 800
