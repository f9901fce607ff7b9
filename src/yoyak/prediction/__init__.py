"""Summarise files of any length with a trained run, in shards that survive a kill."""
