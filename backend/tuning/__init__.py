"""Sweeps: many trainings that vary the fields of a configuration, to find the values that retrieve best."""
