"""The gallery, its index, and the answer to a query."""
