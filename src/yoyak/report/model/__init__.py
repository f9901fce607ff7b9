"""Build the report as one frozen value from the records of the runs."""
