"""Render the records as text for a terminal."""
