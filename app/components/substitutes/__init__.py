"""The parts of the Substitutes page."""
