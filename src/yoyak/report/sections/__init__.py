"""Arrange a report's values into sections, tables and charts."""
