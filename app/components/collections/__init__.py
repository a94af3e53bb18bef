"""Collections on screens."""
