"""The kinds of index: what lies nearest to a query, exactly or nearly so."""
