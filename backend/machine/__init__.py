"""What is on one machine: set-up, checks, servers, and what ended processes left behind."""
