"""What only pages for the shop ask: collections, and the tables that a shop reads."""
