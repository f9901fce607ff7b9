"""Render a report as HTML, Markdown, CSV and JSON."""
