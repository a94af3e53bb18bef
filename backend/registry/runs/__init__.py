"""Runs in MLflow: of trainings and sweeps, and those that nobody has any more."""
