"""What a provider says becomes a name that can be relied on, and the highest role that it means."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.access.claims import accepted, role_names
from backend.access.person import Role
from backend.errors import AccessDenied, SettingsError
from backend.settings import Settings

SETTINGS = Settings(
    oidc_client_id="twinset", oidc_role_claim="groups", oidc_roles="shop=merchandiser, ops=admin, a=b=viewer"
)
ADA = {"aud": "twinset", "email": "ada@shop.example", "email_verified": True}


def test_a_name_is_a_verified_address_or_the_claim_that_is_set():
    assert accepted(SETTINGS, ADA) == ("ada@shop.example", "")
    assert accepted(SETTINGS, {**ADA, "aud": ["other", "twinset"]})[0] == "ada@shop.example"
    by_login = replace(SETTINGS, oidc_name_claim="preferred_username")
    assert accepted(by_login, {"aud": "twinset", "preferred_username": " ada "}) == ("ada", "")


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"aud": "other"}, "another app"),
        ({"aud": ["other"]}, "another app"),
        ({"aud": None}, "another app"),
        ({"email_verified": False}, "has not been verified"),
        ({"email_verified": "true"}, "has not been verified"),
        ({"email_verified": None}, "has not been verified"),
        ({"email": ""}, "did not send your name"),
        ({"email": None}, "did not send your name"),
        ({"email": ["ada"]}, "did not send your name"),
        ({"email": "ada\nbo"}, "did not send your name"),
        ({"email": "a" * 201}, "did not send your name"),
    ],
)
def test_what_cannot_be_relied_on_is_refused(claims, says):
    with pytest.raises(AccessDenied, match=says):
        accepted(SETTINGS, {**ADA, **claims})


ANY = st.recursive(
    st.none() | st.booleans() | st.text(max_size=4) | st.sampled_from(["shop", "ops", "a=b", "admin"]),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=3), inside, max_size=2),
    max_leaves=6,
)


@given(ANY)
def test_the_highest_role_that_a_value_means_counts_and_nothing_else_means_one(found):
    values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    meant = {"shop": Role.MERCHANDISER, "ops": Role.ADMIN, "a=b": Role.VIEWER}
    roles = [meant[one] for one in values if isinstance(one, str) and one in meant]
    assert accepted(SETTINGS, {**ADA, "groups": found})[1] == (max(roles).title if roles else "")


def test_a_claim_may_be_inside_another_or_have_dots_in_its_name():
    nested = replace(SETTINGS, oidc_role_claim="realm.roles")
    for claims in ({"realm": {"roles": ["shop"]}}, {"realm.roles": ["shop"]}):
        assert accepted(nested, {**ADA, **claims})[1] == "merchandiser"
    for claims in ({}, {"realm": None}, {"realm": ["roles"]}, {"realm": {"roles": {"shop": 1}}}):
        assert accepted(nested, {**ADA, **claims})[1] == ""


@pytest.mark.parametrize("wrong", ["shop", "shop=boss", "=admin", "shop=admin,x", "shop=admin=", "a:admin"])
def test_what_gives_no_role_is_no_setting(wrong):
    with pytest.raises(SettingsError, match="gives no known role"):
        role_names(replace(SETTINGS, oidc_roles=wrong))
