"""Parts of the Catalogue page that load products."""
