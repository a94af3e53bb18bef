"""What can be asked of Twinset, and the steps that carry it out; commands and jobs both call these."""
