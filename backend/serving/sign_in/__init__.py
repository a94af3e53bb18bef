"""The sign-in of the app: what is in front of all that it serves."""
