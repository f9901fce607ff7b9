"""Metric-aware training after supervised training: objectives, rewards, preflight, the step."""
