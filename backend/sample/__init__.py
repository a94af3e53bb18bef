"""The built-in sample catalogue: what the shop sells."""
