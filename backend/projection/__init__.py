"""Maps of a gallery: its embeddings in two and three dimensions, what they are worth, and what can be read from them."""
