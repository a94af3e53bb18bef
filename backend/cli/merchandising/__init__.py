"""The commands of merchandisers: rules on answers."""
