"""Run recipes: a parent process that schedules and monitors, one worker process per run."""
