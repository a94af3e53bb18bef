"""Scoring retrieval."""
