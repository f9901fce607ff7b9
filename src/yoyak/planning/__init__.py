"""Estimates of a line-up's time, GPU memory and disk, before a download or a process."""
