"""The steps that keep a catalogue current: its pictures on the web, and the source that it is loaded from."""
