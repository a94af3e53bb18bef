"""Alerts: what is wrong with an installation, and telling it to addresses that were set."""
