"""Serve the live report and a playground on the local machine."""
