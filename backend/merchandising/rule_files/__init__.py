"""Rules as files: YAML that holds all of a rule, CSV in the layout that other shops' tools use, and what a file would change."""
