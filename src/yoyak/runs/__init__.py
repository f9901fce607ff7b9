"""Run folders, their event logs and the workspace that holds them."""
