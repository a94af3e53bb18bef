"""One product: what is known of it, what looks like it, which rules touch it, and what became of it."""
