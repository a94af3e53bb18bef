"""Long work as processes of their own, with state that survives."""
