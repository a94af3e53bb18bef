"""Encoded bytes in, pixels out: the pixel contract, its budget and its decoders."""
