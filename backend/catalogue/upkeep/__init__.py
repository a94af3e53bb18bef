"""What becomes of a catalogue over time: history, changes, splits, older versions, vacuum."""
