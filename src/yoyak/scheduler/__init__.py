"""What runs next, and whether it is safe: the parent that watches, and the worker that works."""
