"""The catalogue: products and their pictures in Delta tables."""
