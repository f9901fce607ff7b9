"""The machine: what it has, what is free, whether a run can work here, and what may be deleted."""
