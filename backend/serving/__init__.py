"""The endpoint, its tokens and its client."""
