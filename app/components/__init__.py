"""Pieces of screens: each shows what it is given and returns what the user chose."""
