"""Assemble a run: base model or model from scratch, tokenization, training, weights."""
