"""The kinds of index: what is nearest to a query, exactly or nearly so."""
