"""The steps that keep a catalogue current, make what a shop reads of it, and try rules on what was asked."""
