"""From a source to a committed version: listed, checked, staged, merged; rejected rows kept."""
