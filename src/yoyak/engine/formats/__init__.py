"""Exported models: weights written in the formats of other programs, and loaded again by them."""
