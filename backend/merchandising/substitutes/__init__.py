"""Substitutes: the products in stock that look like one that is not, within limits of price and kind."""
