"""How good the pictures of a catalogue are, and which show the same."""
