"""Collections: products that somebody put together, in order and with comments."""
