"""Runs and shards on the nodes of a Ray cluster."""
