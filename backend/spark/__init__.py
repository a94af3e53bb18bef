"""Spark: a session of its own, what it needs, and actions that can be watched and cancelled."""
