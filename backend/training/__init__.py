"""Training the embedding network."""
