"""Whole files and folders: atomic writes, manifests with hashes, append-only JSON lines."""
