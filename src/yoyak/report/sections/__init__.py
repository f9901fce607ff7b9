"""Build sections, tables and charts from the report's values."""
