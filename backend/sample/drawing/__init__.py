"""The artists of the sample catalogue, and what they draw with."""
