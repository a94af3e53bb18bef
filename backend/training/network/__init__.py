"""The network: layers, losses, optimisers and weights."""
