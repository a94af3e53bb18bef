"""The commands of whoever runs Twinset."""
