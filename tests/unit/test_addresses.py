"""An address is shown without what it must not say, wherever it comes up; whatever else is in a text stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import RegistryError
from backend.errors.addresses import is_loopback_host, shown

TEXT = st.text(st.characters(exclude_characters="@:/?&= \t\r\n\v\f", exclude_categories=("Cs", "Z", "Cc")), min_size=4)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://ada:s3cret@db.example/runs", "postgresql://db.example/runs"),
        ("postgresql+psycopg://ada:pa/ss:wo@db/runs", "postgresql+psycopg://db/runs"),
        ("https://t0ken@mlflow.example:8443/x", "https://mlflow.example:8443/x"),
        (
            "postgresql://db/runs?user=ada&password=s3cret&sslmode=on",
            "postgresql://db/runs?user=ada&password=***&sslmode=on",
        ),
        ("wasbs://files.example/runs?sv=2&sig=abc%3D&sp=r", "wasbs://files.example/runs?sv=2&sig=***&sp=r"),
        (
            "spark.hadoop.fs.s3a.secret.key=abc; spark.executor.memory=4g",
            "spark.hadoop.fs.s3a.secret.key=***; spark.executor.memory=4g",
        ),
        ("Write pairs like spark.key=value.", "Write pairs like spark.key=value."),
        ("s3://bucket/runs", "s3://bucket/runs"),
        ("sqlite:////home/ada/x@y/mlflow.db", "sqlite:////home/ada/x@y/mlflow.db"),
        ("http://127.0.0.1:8601/ping", "http://127.0.0.1:8601/ping"),
        ("write to ada@shop.example", "write to ada@shop.example"),
        (
            "API request to https://a:b@x.example/api failed; is https://a:b@x.example up?",
            "API request to https://x.example/api failed; is https://x.example up?",
        ),
    ],
)
def test_what_an_address_shows(address, expected):
    assert shown(address) == expected


@given(TEXT, TEXT, TEXT)
def test_no_password_is_shown_whatever_stands_around_it(user, password, around):
    secret = f"{password}-4711"
    assert secret not in shown(f"{around} https://{user}:{secret}@db.example/runs {around}")
    assert secret not in shown(f"{around} mysql://db.example/runs?{user}&password={secret}")
    assert shown(shown(around)) == shown(around)


def test_errors_show_addresses_so_whoever_wrote_the_text():
    error = RegistryError("cannot reach https://ada:s3cret@x", next_step="Is https://ada:s3cret@x up?")
    assert "s3cret" not in f"{error} {error.message} {error.next_step} {error.args}"


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *((host, True) for host in ("127.0.0.1", "127.3.2.1", "::1", "[::1]", "LOCALHOST")),
        *((host, False) for host in ("0.0.0.0", "::", "192.168.1.4", "localhost.evil.example", "")),
    ],
)
def test_which_hosts_are_this_machine_alone(host, here):
    assert is_loopback_host(host) == here
