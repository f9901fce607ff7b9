"""Recipes: typed schema, layered loading with the origin of every value, bundled recipes."""
