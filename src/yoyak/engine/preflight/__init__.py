"""Checks of data, model and device before the first optimizer step."""
