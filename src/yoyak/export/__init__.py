"""Write results for use outside the workspace: models, answers, git backups."""
