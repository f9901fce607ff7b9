"""What is on disk: whole files and folders, runs, and the workspace that holds them."""
