"""The gallery: what is shown of every product that can be answered, and how it gets into a bundle."""
