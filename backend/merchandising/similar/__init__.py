"""The similar-products table: every product with those most like it, as a shop's own page reads it."""
