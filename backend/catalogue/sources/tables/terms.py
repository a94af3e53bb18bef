"""Words of shops: currencies as signs and codes, and what is in stock, in the languages of their exports."""

from __future__ import annotations

import re

# Signs and abbreviations that are of one currency in what shops write; a dollar without a country is the American one.
_SIGNS = dict(
    re.findall(
        r"(\S+)=(\S+)",
        "€=EUR euro=EUR £=GBP ₹=INR rs=INR rs.=INR ₽=RUB ₺=TRY ₩=KRW ₫=VND ₪=ILS ₴=UAH ¥=JPY ￥=JPY лв=BGN zł=PLN kč=CZK ft=HUF "
        "fr.=CHF sfr=CHF sfr.=CHF $=USD us$=USD a$=AUD au$=AUD c$=CAD ca$=CAD nz$=NZD hk$=HKD r$=BRL s$=SGD mx$=MXN",
    )
)
_CODES = frozenset(
    re.findall(
        "...",
        "AEDARSAUDBGNBRLCADCHFCLPCNYCOPCZKDKKEGPEURGBPHKDHUFIDRILSINRISKJPYKESKRWKWDMADMXNMYRNGNNOKNZDPENPHPPKRPLNQARRON"
        "RSDRUBSARSEKSGDTHBTNDTRYTWDUAHUSDVNDZAR",
    )
)
# What is left of an amount without its digits: one currency, before or behind it.
_NUMBER = re.compile(r"[\d.,'’\s\u2212+\-–—/*()]+")
_AVAILABLE = {
    "in stock": "1 true yes ja oui sí si y instock in_stock available limitedavailability onlineonly verfügbar auflager lagernd "
    "lieferbar sofortlieferbar vorrätig enstock disponible endisponibilité enexistencia disponibile",
    "out of stock": "0 false no nein non outofstock soldout discontinued unavailable notavailable ausverkauft nichtverfügbar "
    "nichtlieferbar nichtvorrätig vergriffen épuisé rupturedestock indisponible agotado sinexistencias sinstock nodisponible",
    "preorder": "preorder presale comingsoon vorbestellbar vorbestellung précommande preventa prepedido",
    "backorder": "backorder onbackorder availablefororder madetoorder bestellbar nachbestellt surcommande bajopedido",
}
_MEANS = {word.replace("_", ""): meaning for meaning, words in _AVAILABLE.items() for word in words.split()}
_SCHEMA_ORG = re.compile(r"^https?://schema\.org/", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s_\-]+")
_LONGEST = 40  # letters of a word that is looked up


def parse_currency(text: str) -> str:
    """Return the ISO 4217 code of a currency that is written as a code or a sign.

    Raises:
        ValueError: It is none of those that shops use.
    """
    plain = "".join(text.split())
    found = _SIGNS.get(plain.casefold()) or (plain.upper() if plain.upper() in _CODES else None)
    if found is None:
        raise ValueError(text)
    return found


def currency_of(amount: str) -> str | None:
    """Return the currency that an amount of money states; None where it states none.

    Example:
        >>> [currency_of(text) for text in ("119.00 USD", "CHF 12'500.–", "Rs. 1,299/-", "ab 9,90 €", "12")]
        ['USD', 'CHF', 'INR', 'EUR', None]
    """
    if amount.isascii() and amount.replace(".", "", 1).isdigit():
        return None
    for word in _NUMBER.split(amount[:_LONGEST]):
        try:
            return parse_currency(word)
        except ValueError:
            continue
    return None


def parse_availability(text: str) -> str:
    """Return what a word for the availability of a product means: in stock, out of stock, preorder or backorder.

    Raises:
        ValueError: It is no such word.
    """
    plain = _BETWEEN.sub("", _SCHEMA_ORG.sub("", text[:_LONGEST])).casefold()
    if plain not in _MEANS:
        raise ValueError(text)
    return _MEANS[plain]
