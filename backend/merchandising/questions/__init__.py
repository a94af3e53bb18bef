"""What was asked of the endpoint: kept in a Delta table, answered again, and tried against other rules."""
