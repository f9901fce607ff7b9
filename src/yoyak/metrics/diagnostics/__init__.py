"""Diagnose summaries: error types, text patterns, slices, invented names and numbers."""
