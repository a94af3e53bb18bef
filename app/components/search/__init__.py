"""Parts of the page Find similar."""
