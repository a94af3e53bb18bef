"""Sources that are tables: which file, which rows, and the pictures that they name."""
