"""Parts of the page Rules, and of rules on the page Find similar."""
