"""Words of shops for money and for what is in stock."""

from __future__ import annotations

import pytest

from backend.catalogue.sources.tables.terms import currency_of, parse_availability, parse_currency


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("119.00 USD", "USD"),
        ("USD 24.50", "USD"),
        ("CHF 12'500.–", "CHF"),
        ("Rs. 1,299/-", "INR"),
        ("₹1,29,900", "INR"),
        ("19,99€*", "EUR"),
        ("$9.99 - $19.99", "USD"),
        ("ab 9,90 €", "EUR"),
        ("12", None),
        ("auf Anfrage", None),
    ],
)
def test_an_amount_states_its_currency(amount, currency):
    assert currency_of(amount) == currency


def test_a_currency_is_a_sign_or_a_code():
    assert [parse_currency(text) for text in ("eur", "€", "US$", "Rs.")] == ["EUR", "EUR", "USD", "INR"]
    with pytest.raises(ValueError, match="doubloon"):
        parse_currency("doubloon")


@pytest.mark.parametrize(
    ("text", "availability"),
    [
        ("in_stock", "in stock"),
        ("TRUE", "in stock"),
        ("Auf Lager", "in stock"),
        ("https://schema.org/OutOfStock", "out of stock"),
        ("pre-order", "preorder"),
        ("available for order", "backorder"),
        ("Nicht lieferbar", "out of stock"),
    ],
)
def test_words_for_the_availability_are_four(text, availability):
    assert parse_availability(text) == availability


def test_another_word_is_no_availability():
    with pytest.raises(ValueError, match="perhaps"):
        parse_availability("perhaps")
