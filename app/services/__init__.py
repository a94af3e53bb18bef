"""What pages ask of the backend, built once and shared."""
