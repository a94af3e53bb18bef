"""From a catalogue version to class-balanced batches."""
