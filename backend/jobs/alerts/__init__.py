"""What is wrong with an installation, told to addresses that were set, and its figures for Prometheus."""
