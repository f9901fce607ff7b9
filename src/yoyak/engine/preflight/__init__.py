"""Check a model and its rows before the first optimizer step."""
