"""A home as one file: made while everything runs, checked by its hashes, put back as it was."""
