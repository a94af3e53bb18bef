"""What the pages for whoever runs Twinset ask of the backend."""
